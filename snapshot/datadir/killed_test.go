package datadir_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// threeEnv makes the test binary a cluster of three members that writes until
// it is killed.
const threeEnv = "LIFEBOAT_TEST_THREE"

type three struct {
	Root  string
	Peers [3]string
	Seed  uint64
	Lose  int // operation at which a member is lost

	Newcomer string // peer URL of members that come and go, as learners and as voters; "" for none
}

// operation is one write of the only writer. It is told before it is made, and
// again when it was acknowledged.
type operation struct {
	N       int
	Puts    map[string]string
	Deletes []string
	Leased  bool
	Compact bool
	If, Was string // compare and swap: only where the key If has the value Was
	Acked   bool
}

func (o operation) apply(state map[string]string) map[string]string {
	next := maps.Clone(state)
	if was, there := state[o.If]; o.If != "" && (!there || was != o.Was) {
		return next
	}
	for _, k := range o.Deletes {
		delete(next, k)
	}
	maps.Copy(next, o.Puts)
	return next
}

// serveThree is the child's life.
func serveThree(spec string) error {
	var s three
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	names := []string{"m0", "m1", "m2"}
	var cluster []string
	for i, name := range names {
		cluster = append(cluster, name+"="+s.Peers[i])
	}
	var members []*embed.Etcd
	for i, name := range names {
		peer, err := url.Parse(s.Peers[i])
		if err != nil {
			return err
		}
		cfg := etcdConfig(name, filepath.Join(s.Root, name), *peer)
		cfg.InitialCluster = strings.Join(cluster, ",")
		cfg.SnapshotCount = 50 // so that the logs begin anew
		e, err := embed.StartEtcd(cfg)
		if err != nil {
			return err
		}
		members = append(members, e)
	}
	for _, e := range members {
		<-e.Server.ReadyNotify()
	}
	r, out := rand.New(rand.NewPCG(s.Seed, 0)), json.NewEncoder(os.Stdout)
	tell := func(o operation) {
		if err := out.Encode(o); err != nil {
			panic(err) // nobody is there any more
		}
	}
	lost, client := r.IntN(3), v3client.New(members[0].Server)
	operator := operator{members: members, lost: -1}
	if s.Newcomer != "" {
		go s.comeAndGo(v3client.New(members[(lost+1)%3].Server), cluster)
	}
	for n := 1; ; n++ {
		if n == s.Lose {
			if lost == 0 {
				client = v3client.New(members[1].Server)
			}
			go operator.lose(lost)
		}
		if n%17 == 0 {
			go operator.disturb(n / 17)
		}
		o := draw(r, n)
		tell(o)
		if err := o.write(client); err != nil {
			// In doubt: a new leader is being elected. What is still on its way
			// to it must not come after the next operation.
			time.Sleep(300 * time.Millisecond)
			continue
		}
		o.Acked = true
		tell(o)
	}
}

// newcomers are where the members that come and go are, one after the other.
func (s three) newcomer(n int) string { return filepath.Join(s.Root, fmt.Sprint("newcomer-", n)) }

// comeAndGo adds a learner, has it catch up, promotes every second one, and removes
// it, over and over. Each step may fail, while the cluster elects a leader or has
// lost a member.
func (s three) comeAndGo(c *clientv3.Client, cluster []string) {
	peer, err := url.Parse(s.Newcomer)
	if err != nil {
		panic(err)
	}
	for n := 0; ; {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		added, err := c.MemberAddAsLearner(ctx, []string{s.Newcomer})
		if err != nil {
			cancel()
			time.Sleep(50 * time.Millisecond)
			continue
		}
		cfg := etcdConfig("newcomer", s.newcomer(n), *peer)
		cfg.InitialCluster = strings.Join(append(slices.Clone(cluster), "newcomer="+s.Newcomer), ",")
		cfg.ClusterState, cfg.SnapshotCount = embed.ClusterStateFlagExisting, 50
		member, err := embed.StartEtcd(cfg)
		if err == nil {
			time.Sleep(time.Duration(n%4) * 50 * time.Millisecond)
			if n%2 == 1 {
				_, _ = c.MemberPromote(ctx, added.Member.ID)
				time.Sleep(100 * time.Millisecond)
			}
		}
		for ctx.Err() == nil {
			if _, err := c.MemberRemove(ctx, added.Member.ID); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
		if member != nil {
			member.Server.HardStop()
			for _, l := range member.Peers {
				_ = l.Close()
			}
		}
		n++
	}
}

// operator does one thing at a time, and none to a member that is gone: etcd
// ends the process when the database that it defragments is closed.
type operator struct {
	mu      sync.Mutex
	members []*embed.Etcd
	lost    int // -1 for none
}

func (o *operator) lose(i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = i
	o.members[i].Server.HardStop()
}

// disturb moves the leader, or defragments a database. Neither changes a key, and
// each may fail.
func (o *operator) disturb(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n%3 == o.lost {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	from, to := o.members[n%3].Server, o.members[(n+1)%3].Server
	if n%2 == 0 {
		_ = from.MoveLeader(ctx, uint64(from.Leader()), uint64(to.MemberID()))
		return
	}
	_ = from.Backend().Defrag()
}

func draw(r *rand.Rand, n int) operation {
	o := operation{N: n, Puts: map[string]string{}}
	key := func() string { return fmt.Sprintf("/k/%d", r.IntN(9)) }
	switch r.IntN(10) {
	case 0:
		o.Deletes = []string{key()}
	case 1:
		o.Puts[key()], o.Deletes = fmt.Sprint("txn ", n), []string{"/t/" + key()}
	case 2:
		o.Compact = n%3 == 0
	case 3:
		o.Puts[key()], o.Leased = fmt.Sprint("leased ", n), true
	case 4:
		o.If, o.Was = key(), strconv.Itoa(n-1-r.IntN(4))
		o.Puts[o.If] = fmt.Sprint("swapped ", n)
	default:
		o.Puts[key()] = strconv.Itoa(n)
	}
	return o
}

func (o operation) write(c *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if o.Compact {
		got, err := c.Get(ctx, "/")
		if err == nil {
			_, err = c.Compact(ctx, got.Header.Revision)
		}
		return err
	}
	var ops []clientv3.Op
	var opts []clientv3.OpOption
	if o.Leased {
		lease, err := c.Grant(ctx, 3600)
		if err != nil {
			return err
		}
		opts = append(opts, clientv3.WithLease(lease.ID))
	}
	for k, v := range o.Puts {
		ops = append(ops, clientv3.OpPut(k, v, opts...))
	}
	for _, k := range o.Deletes {
		ops = append(ops, clientv3.OpDelete(k))
	}
	txn := c.Txn(ctx)
	if o.If != "" {
		txn = txn.If(clientv3.Compare(clientv3.Value(o.If), "=", o.Was))
	}
	_, err := txn.Then(ops...).Commit()
	return err
}

// history runs a cluster of three, kills it after some acknowledgements, and
// returns every state from the last acknowledged one on that may be the
// cluster's.
func history(t *testing.T, r *rand.Rand, newcomers bool) (dirs []string, states []map[string]string) {
	t.Helper()
	acks := 20 + r.IntN(150)
	spec := three{Root: t.TempDir(), Seed: r.Uint64(), Lose: r.IntN(2 * acks)}
	if newcomers {
		peer := loopback(t)
		spec.Newcomer = peer.String()
	}
	for i := range spec.Peers {
		peer := loopback(t)
		spec.Peers[i] = peer.String()
		dirs = append(dirs, filepath.Join(spec.Root, fmt.Sprint("m", i)))
	}
	text, err := json.Marshal(spec)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), threeEnv+"="+string(text))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var said strings.Builder
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	var ops []operation
	count := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var o operation
		if json.Unmarshal(lines.Bytes(), &o) != nil {
			said.Write(lines.Bytes()) // cut off by the kill, or why it did not come to that
			break
		}
		if !o.Acked {
			ops = append(ops, o)
			continue
		}
		ops[len(ops)-1].Acked = true
		if count++; count == acks {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	ended := cmd.Wait()
	require.GreaterOrEqual(t, count, acks, "the members were not killed, but: %v\n%s", ended, tailOf(said.String()))

	// An operation in doubt was made or not.
	states = []map[string]string{{}}
	for _, o := range ops {
		var next []map[string]string
		for _, s := range states {
			next = append(next, o.apply(s))
			if !o.Acked {
				next = append(next, s)
			}
		}
		states = next
		require.Less(t, len(states), 1<<10)
	}
	for n := 0; newcomers; n++ {
		if _, err := os.Stat(spec.newcomer(n + 1)); err != nil {
			return append(dirs, spec.newcomer(n)), states // the last one, if any came
		}
	}
	return dirs, states
}

// tailOf is the end of what a child said.
func tailOf(text string) string { return text[max(0, len(text)-4000):] }

// forced is HashKV of what etcd's own --force-new-cluster leaves of a member,
// whose leases and versions have to be those of want.
func forced(t *testing.T, dir string, want *snapshot.DB) snapshot.Hash {
	t.Helper()
	info, err := want.Info(t.Context())
	require.NoError(t, err)
	scratch := t.TempDir()
	file, err := etcdproc.ForceNewCluster(t.Context(), dir, "", scratch, etcdproc.Versions{Cluster: info.ClusterVersion, Storage: info.StorageVersion})
	require.NoError(t, err)
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
	db, err := snapshot.OpenFile(t.Context(), file)
	require.NoError(t, err)
	defer db.Close()
	got, err := db.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, []any{info.Leases, info.ClusterVersion, info.StorageVersion}, []any{got.Leases, got.ClusterVersion, got.StorageVersion})
	hash, err := db.HashKV(t.Context(), 0)
	require.NoError(t, err)
	return hash
}

// Whatever moment three members are killed at: two of their dirs hold all that
// was acknowledged, each dir by itself is a state of the cluster, and the cut
// at the recorded commit is that of etcd's own --force-new-cluster.
func TestKilledThree(t *testing.T) {
	t.Parallel()
	rounds := 2
	if soak > 1 {
		rounds = 10 * soak // 200 in `make soak`
	}
	for n := range rounds {
		seed := uint64(time.Now().UnixNano()) + uint64(n)
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		dirs, states := history(t, r, n%2 == 1)
		var survivors []*datadir.Survivor
		for i, dir := range dirs {
			s, err := survivorOf(t, dir)
			if i == 3 && err != nil {
				continue // the newcomer was killed before it was anything
			}
			require.NoError(t, err)
			if survivors = append(survivors, s); i < 3 {
				requireState(t, dir)
			}
		}
		for lost := range survivors {
			rest := slices.Delete(slices.Clone(survivors), lost, lost+1)
			best, err := datadir.Best(rest)
			require.NoError(t, err)
			r, err := best.Replay(t.Context(), datadir.ReplayOptions{Peers: rest})
			require.NoError(t, err)
			got := keys(t, database(t, r))
			require.Contains(t, states, got, "all that was acknowledged, and no more than was in doubt")
			require.NoError(t, r.File.Close())
		}
		require.NoError(t, os.RemoveAll(filepath.Dir(dirs[0])))
	}
}

func survivorOf(t *testing.T, dir string) (*datadir.Survivor, error) {
	t.Helper()
	d, err := datadir.Open(dir)
	if err != nil {
		return nil, err
	}
	return d.Survey(t.Context())
}

// requireState: a dir by itself is a state of the cluster, and what is proved of it
// is what etcd's own --force-new-cluster leaves.
func requireState(t *testing.T, dir string) {
	t.Helper()
	watch := watchTree(t, dir)
	whole := replay(t, dir, datadir.ReplayOptions{})
	cut := replay(t, dir, datadir.ReplayOptions{CommittedOnly: true})
	require.LessOrEqual(t, cut.Revision, whole.Revision)
	require.Equal(t, whole.ProvenRevision, cut.Revision)
	require.Equal(t, cut.Hash, forced(t, dir, database(t, cut)), "etcd's own --force-new-cluster")
	watch.unchanged(t)
}
