package oldetcd

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// walTail is the last write of every load: acknowledged just before the kill.
const walTail = "/registry/configmaps/default/wal-tail"

const walTailValue = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"wal-tail","namespace":"default","uid":"1","creationTimestamp":"2026-01-01T00:00:00Z"},"data":{"is":"here"}}`

// load writes to a cluster and remembers what was acknowledged.
type load struct {
	t      *testing.T
	client *clientv3.Client
	random *rand.Rand
	lease  clientv3.LeaseID
	keys   map[string]string
	rev    int64
}

// newLoad begins with a lease that holds keys for as long as any test runs.
func newLoad(t *testing.T, c *clientv3.Client, seed uint64) *load {
	t.Helper()
	l := &load{t: t, client: c, random: rand.New(rand.NewPCG(seed, 0)), keys: map[string]string{}}
	ctx, cancel := l.context()
	defer cancel()
	granted, err := c.Grant(ctx, 36000)
	require.NoError(t, err)
	l.lease = granted.ID
	return l
}

func (l *load) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.t.Context(), 20*time.Second)
}

// write makes so many writes, one after the other.
func (l *load) write(count int) {
	l.t.Helper()
	for n := range count {
		key := fmt.Sprintf("/k/%d", l.random.IntN(20))
		switch l.random.IntN(12) {
		case 0:
			l.txn(nil, []string{key})
		case 1:
			l.txn(map[string]string{key: fmt.Sprint("txn ", n), "/t" + key: strconv.Itoa(n)}, []string{"/t/gone"})
		case 2:
			l.compact()
		case 3:
			l.shortLease()
		case 4:
			l.txn(map[string]string{key: fmt.Sprint("leased ", n)}, nil, clientv3.WithLease(l.lease))
		default:
			l.txn(map[string]string{key: strconv.Itoa(n)}, nil)
		}
	}
}

func (l *load) txn(puts map[string]string, deletes []string, opts ...clientv3.OpOption) {
	l.t.Helper()
	ctx, cancel := l.context()
	defer cancel()
	var ops []clientv3.Op
	for k, v := range puts {
		ops = append(ops, clientv3.OpPut(k, v, opts...))
	}
	for _, k := range deletes {
		ops = append(ops, clientv3.OpDelete(k))
		delete(l.keys, k)
	}
	answer, err := l.client.Txn(ctx).Then(ops...).Commit()
	require.NoError(l.t, err)
	maps.Copy(l.keys, puts)
	l.rev = answer.Header.Revision
}

func (l *load) compact() {
	ctx, cancel := l.context()
	defer cancel()
	if l.rev < 10 {
		return
	}
	_, err := l.client.Compact(ctx, l.rev-l.random.Int64N(8)) // one that is behind the last one is refused
	if err != nil {
		require.ErrorContains(l.t, err, "compacted")
	}
}

// shortLease grants a lease and revokes it, which deletes its key.
func (l *load) shortLease() {
	ctx, cancel := l.context()
	defer cancel()
	granted, err := l.client.Grant(ctx, 1000)
	require.NoError(l.t, err)
	l.txn(map[string]string{"/leased": "for a while"}, nil, clientv3.WithLease(granted.ID))
	revoked, err := l.client.Revoke(ctx, granted.ID)
	require.NoError(l.t, err)
	delete(l.keys, "/leased")
	l.rev = revoked.Header.Revision
}

// end is the write that is acknowledged last.
func (l *load) end() {
	l.t.Helper()
	l.txn(map[string]string{walTail: walTailValue}, nil)
}

// truth is what a real etcd says that it holds.
type truth struct {
	Keys     map[string]string
	Revision int64
	Hash     uint32
	Compact  int64
}

func ask(t *testing.T, c *clientv3.Client) truth {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all, err := c.Get(ctx, "", clientv3.WithPrefix())
	require.NoError(t, err)
	is := truth{Keys: map[string]string{}, Revision: all.Header.Revision}
	for _, kv := range all.Kvs {
		is.Keys[string(kv.Key)] = string(kv.Value)
	}
	hash, err := c.HashKV(ctx, c.Endpoints()[0], 0) // 3.4 refuses the newest by its number where all is compacted
	require.NoError(t, err)
	is.Hash, is.Compact = hash.Hash, hash.CompactRevision
	return is
}

// works puts, reads, grants and deletes on a running cluster.
func works(t *testing.T, c *clientv3.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lease, err := c.Grant(ctx, 3600)
	require.NoError(t, err)
	put, err := c.Put(ctx, "/new/key", "value", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	got, err := c.Get(ctx, "/new/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.Equal(t, put.Header.Revision, got.Kvs[0].ModRevision)
	txn, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value("/new/key"), "=", "value")).
		Then(clientv3.OpPut("/new/other", "x")).Else(clientv3.OpPut("/new/wrong", "x")).Commit()
	require.NoError(t, err)
	require.True(t, txn.Succeeded)
	_, err = c.Revoke(ctx, lease.ID)
	require.NoError(t, err)
	got, err = c.Get(ctx, "/new/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, "the lease took its key along")
}
