package datadir_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// witness is a real etcd whose every answer is written down.
type witness struct {
	t      *testing.T
	e      *embed.Etcd
	c      *clientv3.Client
	random *rand.Rand
	dir    string
	stop   func()

	states    map[int64]map[string]snapshot.KeyValue
	newest    int64
	compacted int64
}

func newWitness(t *testing.T, seed uint64) *witness {
	t.Helper()
	w := &witness{t: t, dir: filepath.Join(t.TempDir(), "etcd"), random: rand.New(rand.NewPCG(seed, 1)), states: map[int64]map[string]snapshot.KeyValue{}, newest: 1}
	w.e, w.stop = startUntil(t, etcdConfig("one", w.dir, loopback(t)))
	w.c = ready(t, w.e.Server)
	return w
}

// live lets some writes happen: puts, deletions, transactions, re-creations.
func (w *witness) live(writes int) {
	w.t.Helper()
	ctx := w.t.Context()
	key := func() string { return fmt.Sprintf("/k/%d", w.random.IntN(6)) }
	for i := range writes {
		var err error
		switch w.random.IntN(6) {
		case 0:
			_, err = w.c.Delete(ctx, key())
		case 1:
			_, err = w.c.Txn(ctx).Then(clientv3.OpPut("/t/a", strconv.Itoa(i)), clientv3.OpPut("/t/b", strconv.Itoa(i)), clientv3.OpDelete(key())).Commit()
		case 2:
			_, err = w.c.Delete(ctx, "/k/", clientv3.WithPrefix())
		default:
			_, err = w.c.Put(ctx, key(), fmt.Sprint("value ", i))
		}
		require.NoError(w.t, err)
		answer, err := w.c.Get(ctx, "\x00", clientv3.WithFromKey())
		require.NoError(w.t, err)
		state := map[string]snapshot.KeyValue{}
		for _, kv := range answer.Kvs {
			state[string(kv.Key)] = snapshot.KeyValue{
				Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
			}
		}
		w.newest = answer.Header.Revision
		w.states[w.newest] = state
	}
}

func (w *witness) compact(rev int64) {
	w.t.Helper()
	_, err := w.c.Compact(w.t.Context(), rev, clientv3.WithCompactPhysical())
	require.NoError(w.t, err)
	w.compacted = rev
}

// save takes a snapshot and opens it.
func (w *witness) save(name string) (*snapshot.DB, *os.File) {
	w.t.Helper()
	return saveServer(w.t, w.e.Server, filepath.Join(w.t.TempDir(), name))
}

func saveServer(t *testing.T, s *etcdserver.EtcdServer, path string) (*snapshot.DB, *os.File) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	snap := s.Backend().Snapshot()
	_, err = snap.WriteTo(file)
	require.NoError(t, err)
	require.NoError(t, snap.Close())
	require.NoError(t, file.Close())
	file, err = os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, file
}

// requireRestores restores to a revision and holds the result against what the
// server answered at it.
func (w *witness) requireRestores(db *snapshot.DB, file *os.File, rev int64, opts datadir.RestoreOptions, hash uint32) {
	w.t.Helper()
	opts.Revision = rev
	plan, err := datadir.PlanRestore(w.t.Context(), db, file, opts)
	require.NoError(w.t, err)
	require.Len(w.t, w.states[rev], int(plan.Keys))
	_, err = plan.Run(w.t.Context())
	require.NoError(w.t, err)
	result, err := snapshot.Open(w.t.Context(), open(w.t, opts.Members[0].Target.Path).Database())
	require.NoError(w.t, err)
	defer result.Close()
	got := map[string]snapshot.KeyValue{}
	for kv, err := range result.At(w.t.Context(), 0, nil) {
		require.NoError(w.t, err)
		got[string(kv.Key)] = kv
	}
	require.Equal(w.t, w.states[rev], got, "revision %d", rev)
	if opts.Bump > 0 {
		require.EqualValues(w.t, w.newest+int64(opts.Bump), result.Revision())
		return
	}
	require.Equal(w.t, rev, result.Revision())
	own, err := result.HashKV(w.t.Context(), 0)
	require.NoError(w.t, err)
	require.Equal(w.t, hash, own.Hash, "HashKV at revision %d", rev)
}

func (w *witness) hashAt(rev int64) uint32 {
	w.t.Helper()
	hash, _, err := w.e.Server.KV().HashStorage().HashByRev(rev)
	require.NoError(w.t, err)
	return hash.Hash
}

// many is how many writes stand for n: thousands of revisions in the long run.
func many(n int) int {
	if soak == 1 {
		return n
	}
	return 12 * soak * n
}

// TestRestoreToARevision: of a real etcd's history, every revision that was not
// compacted comes back as the server had it: keys, values, revisions, versions,
// and, before the bump, its HashKV.
func TestRestoreToARevision(t *testing.T) {
	t.Parallel()
	w := newWitness(t, 1)
	w.live(many(40))
	w.compact(w.newest / 2)
	w.live(many(20))
	db, file := w.save("saved")
	tries := min(6*soak, 60)
	for i := range tries {
		rev := w.compacted + 1 + (w.newest-w.compacted-1)*int64(i)/int64(tries)
		for w.states[rev] == nil {
			rev++ // a transaction that changed nothing has no revision of its own
		}
		opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
		opts.NoBootCheck = true
		w.requireRestores(db, file, rev, opts, w.hashAt(rev))
	}
	middle := w.newest - 10
	for w.states[middle] == nil {
		middle++
	}
	opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
	opts.Bump = 1000
	w.requireRestores(db, file, middle, opts, 0)

	for rev, want := range map[int64]error{w.compacted - 1: snapshot.ErrCompacted, w.newest + 1: snapshot.ErrFutureRevision} {
		opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
		opts.Revision = rev
		_, err := datadir.PlanRestore(t.Context(), db, file, opts)
		require.ErrorIs(t, err, want)
		require.NoDirExists(t, opts.Members[0].Target.Path)
	}
}

// A key whose lease is gone stays until somebody deletes it: a plan counts them, and
// what was written since.
func TestCutCountsWhatItLeaves(t *testing.T) {
	t.Parallel()
	w := newWitness(t, 4)
	ctx, leases := t.Context(), map[string]clientv3.LeaseID{}
	for _, key := range []string{"/gone", "/held"} {
		lease, err := w.c.Grant(ctx, 3600)
		require.NoError(t, err)
		_, err = w.c.Put(ctx, key, "x", clientv3.WithLease(lease.ID))
		require.NoError(t, err)
		leases[key] = lease.ID
	}
	_, err := w.c.Put(ctx, "/gone-as-well", "x", clientv3.WithLease(leases["/gone"]))
	require.NoError(t, err)
	plain, err := w.c.Put(ctx, "/plain", "x")
	require.NoError(t, err)
	_, err = w.c.Revoke(ctx, leases["/gone"])
	require.NoError(t, err)
	last, err := w.c.Put(ctx, "/later", "x")
	require.NoError(t, err)
	db, file := w.save("saved")
	opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
	opts.Revision = plain.Header.Revision
	plan, err := datadir.PlanRestore(ctx, db, file, opts)
	require.NoError(t, err)
	require.Equal(t, &datadir.Cut{Newest: last.Header.Revision, Records: 3, Leaseless: 2}, plan.Cut)
	require.EqualValues(t, 4, plan.Keys)
	opts.Revision = 0
	plan, err = datadir.PlanRestore(ctx, db, file, opts)
	require.NoError(t, err)
	require.Nil(t, plan.Cut)
}

// TestBridge: an old snapshot and the log of a data dir give every revision in
// between, compactions or not.
func TestBridge(t *testing.T) {
	t.Parallel()
	w := newWitness(t, 2)
	w.live(many(15))
	base, baseFile := w.save("nightly")
	hashes := map[int64]uint32{}
	w.live(many(15))
	for rev := range w.states {
		if rev > base.Revision() {
			hashes[rev] = w.hashAt(rev)
		}
	}
	w.compact(w.newest - 2)
	w.live(many(10))
	w.compact(w.newest)
	w.stop()

	s := survey(t, w.dir)
	r, err := s.Bridge(t.Context(), base, baseFile, snapshot.Spool{})
	require.NoError(t, err)
	t.Cleanup(func() { r.File.Close() })
	db := database(t, r)
	require.Equal(t, w.newest, db.Revision())
	for rev := base.Revision() + 1; rev <= w.newest; rev++ {
		if w.states[rev] == nil {
			continue
		}
		got := map[string]snapshot.KeyValue{}
		for kv, err := range db.At(t.Context(), rev, nil) {
			require.NoError(t, err)
			got[string(kv.Key)] = kv
		}
		require.Equal(t, w.states[rev], got, "revision %d", rev)
		if want, ok := hashes[rev]; ok {
			hash, err := db.HashKV(t.Context(), rev)
			require.NoError(t, err)
			require.Equal(t, want, hash.Hash, "HashKV at revision %d", rev)
		}
	}
	middle := base.Revision() + 5
	for w.states[middle] == nil {
		middle++
	}
	opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
	opts.NoBootCheck = true
	w.requireRestores(db, r.File, middle, opts, hashes[middle])

	// The log by itself, without the data dir, gives the same.
	segments := filepath.Join(t.TempDir(), "segments")
	require.NoError(t, os.CopyFS(segments, os.DirFS(s.Dir.WAL())))
	alone, err := datadir.LogAt(segments).Survey(t.Context())
	require.NoError(t, err)
	again, err := alone.Bridge(t.Context(), base, baseFile, snapshot.Spool{})
	require.NoError(t, err)
	t.Cleanup(func() { again.File.Close() })
	require.Equal(t, datadir.Proved, again.Survivor.Belongs.Verdict)
	hash, err := database(t, again).HashKV(t.Context(), middle)
	require.NoError(t, err)
	require.Equal(t, hashes[middle], hash.Hash)

	// Another cluster's snapshot is refused.
	other := newWitness(t, 3)
	other.live(15)
	foreign, foreignFile := other.save("foreign")
	_, err = s.Bridge(context.Background(), foreign, foreignFile, snapshot.Spool{})
	require.Error(t, err)
	_, err = alone.Bridge(context.Background(), foreign, foreignFile, snapshot.Spool{})
	require.ErrorIs(t, err, datadir.ErrForeignLog)
}
