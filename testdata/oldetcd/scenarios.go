package oldetcd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A cluster of one: all that was acknowledged is there and proven, by a
// snapshot, by a restore, by a rebuild.
func (b *bench) single(t *testing.T) {
	members, c := newCluster(t, b.server, 1)
	b.one(t, members[0], c)
}

// The database was never written: all of it, from the members' first entries
// on, comes from the log, which stands in a folder of its own.
func (b *bench) log(t *testing.T) {
	root := t.TempDir()
	m := newMember(t, b.server, "m0", filepath.Join(root, "m0"))
	m.wal = filepath.Join(root, "log")
	m.flags = []string{"--backend-batch-interval", "1h", "--backend-batch-limit", "1000000"}
	b.one(t, m, startAll(t, []*member{m}))
}

func (b *bench) one(t *testing.T, m *member, c *clientv3.Client) {
	l := newLoad(t, c, 1)
	l.write(150)
	before := ask(t, c)
	l.write(60)
	l.end()
	m.kill()
	w := b.watch(t, m)

	want := b.restarted(t, m)
	require.Equal(t, l.keys, want.Keys)
	require.Equal(t, l.rev, want.Revision)
	hash, revision := b.hash(t, m.source()...)
	require.Equal(t, want.Hash, hash)
	require.Equal(t, want.Revision, revision)
	if before.Compact == want.Compact { // HashKV is of what a compaction left
		hash, _ = b.hash(t, append(m.source(), "--rev", strconv.FormatInt(before.Revision, 10))...)
		require.Equal(t, before.Hash, hash)
	}
	_, stderr := b.run(t, append([]string{"get"}, append(m.source(), "configmaps", "wal-tail", "-n", "default")...)...)
	require.Contains(t, stderr, "read beyond the database")
	require.NotContains(t, stderr, "not proven", "its own log is a majority of one")

	saved := filepath.Join(t.TempDir(), "saved")
	b.run(t, append([]string{"etcd", "save", "--to", saved}, m.source()...)...)
	hash, _ = b.hash(t, saved, "--require-hash")
	require.Equal(t, want.Hash, hash)
	b.starts(t, l, m, want, "restore", saved, "--name", m.name, "--bump-revision", "off")
	b.starts(t, l, m, want, "rebuild", m.source()...)
	b.starts(t, l, m, want, "repair", append(m.source(), "--compact", "--defrag")...)
	w.unchanged(t, m.folders()...)
}

// Three members, of which one joined as a learner and took the place of
// another: each survivor by itself gives a cluster that starts, two of them all
// that was acknowledged.
func (b *bench) three(t *testing.T) {
	members, c := newCluster(t, b.server, 3)
	l := newLoad(t, c, 2)
	l.write(60)
	m3 := b.join(t, members, c)
	l.write(30)
	until(t, func(ctx context.Context) error { // it has to be in step
		list, err := c.MemberList(ctx)
		require.NoError(t, err)
		for _, m := range list.Members {
			if m.IsLearner {
				_, err = c.MemberPromote(ctx, m.ID)
			}
		}
		return err
	})
	b.leave(t, l, members[0], members[1])
	b.survivors(t, l, []*member{members[1], members[2], m3})
}

// The same where the logs begin anew all the time, behind raft's snapshots.
func (b *bench) short(t *testing.T) {
	members, c := newCluster(t, b.server, 3, "--snapshot-count", "10")
	l := newLoad(t, c, 3)
	l.write(150)
	b.survivors(t, l, members)
}

// join starts a fourth member, as a learner.
func (b *bench) join(t *testing.T, members []*member, c *clientv3.Client) *member {
	t.Helper()
	m := newMember(t, b.server, "m3", filepath.Join(filepath.Dir(members[0].dir), "m3"))
	m.flags = append([]string{"--initial-cluster-state", "existing"}, members[0].flags...)
	until(t, func(ctx context.Context) error { // a young cluster counts as unhealthy
		_, err := c.MemberAddAsLearner(ctx, []string{m.peer})
		return err
	})
	m.start(t, append(members[:len(members):len(members)], m))
	return m
}

// leave removes a member; the load goes on with another.
func (b *bench) leave(t *testing.T, l *load, gone, other *member) {
	t.Helper()
	l.client = other.dial(t)
	until(t, func(ctx context.Context) error {
		list, err := l.client.MemberList(ctx)
		require.NoError(t, err)
		for _, m := range list.Members {
			if m.Name == gone.name {
				_, err = l.client.MemberRemove(ctx, m.ID)
			}
		}
		return err
	})
	gone.kill()
	l.client = other.dial(t)
}

// survivors kills the members and builds from what they left.
func (b *bench) survivors(t *testing.T, l *load, members []*member) {
	l.write(40)
	l.end()
	killAll(members)
	w := b.watch(t, members...)
	want := b.restarted(t, members...)
	require.Equal(t, l.keys, want.Keys)
	require.Equal(t, l.rev, want.Revision)

	// Two of three acknowledge a write; the third may have been killed before it
	// heard of it.
	whole := make([]bool, len(members))
	for i, m := range members {
		_, revision := b.hash(t, m.source()...)
		whole[i] = revision == want.Revision
	}
	for i, m := range members {
		// By itself: a state of the cluster, perhaps of a moment before.
		hash, revision := b.hash(t, m.source()...)
		require.LessOrEqual(t, revision, want.Revision)
		alone := truth{Revision: revision, Hash: hash}
		b.starts(t, nil, m, alone, "rebuild", m.source()...)
		// Cut where etcd's own way cuts.
		forced := b.forced(t, m)
		hash, revision = b.hash(t, append(m.source(), "--committed-only")...)
		require.Equal(t, forced.Hash, hash, "%s: --force-new-cluster", m.name)
		require.Equal(t, forced.Revision, revision)
		// With a peer, two of three: all that was acknowledged.
		other := (i + 1) % len(members)
		peer := members[other]
		_, stderr := b.run(t, append([]string{"etcd", "hash", "--peer-dir", peer.dir}, m.source()...)...)
		if whole[i] && whole[other] {
			require.NotContains(t, stderr, "not proven")
		}
		hash, revision = b.hash(t, append(m.source(), "--peer-dir", peer.dir)...)
		require.Equal(t, want.Hash, hash)
		require.Equal(t, want.Revision, revision)
		b.sameMembers(t, m, peer)
	}
	b.viaEtcd(t, members[1])
	b.starts(t, l, members[0], want, "rebuild", append(members[0].source(), "--peer-dir", members[1].dir)...)
	b.elect(t, l, members, want)
	var folders []string
	for _, m := range members {
		folders = append(folders, m.folders()...)
	}
	w.unchanged(t, folders...)
}

// viaEtcd: the etcd that lifeboat links leaves a database that this server
// starts on, or is not let near it.
func (b *bench) viaEtcd(t *testing.T, m *member) {
	t.Helper()
	if b.status(t, m.dir).StorageVersion != "" {
		b.starts(t, nil, m, b.forced(t, m), "rebuild", m.dir, "--via-etcd", "--bump-revision", "off")
		return
	}
	to := filepath.Join(t.TempDir(), "refused")
	out, err := exec.Command(b.binary, "etcd", "rebuild", m.dir, "--via-etcd", "--to", to).CombinedOutput()
	exit := (*exec.ExitError)(nil)
	require.ErrorAs(t, err, &exit, string(out))
	require.Equal(t, 6, exit.ExitCode(), string(out))
	require.NoDirExists(t, to)
}

// elect restores three members from one source; they find each other.
func (b *bench) elect(t *testing.T, l *load, members []*member, want truth) {
	root := filepath.Join(t.TempDir(), "all")
	b.run(t, "etcd", "restore", members[0].dir, "--peer-dir", members[1].dir, "--to", root,
		"--members", "all", "--initial-cluster", initialCluster(members), "--bump-revision", "off")
	var restored []*member
	for _, m := range members {
		r := newMember(t, b.server, m.name, filepath.Join(root, m.name))
		r.peer = m.peer
		restored = append(restored, r)
	}
	c := startAll(t, restored)
	for _, m := range restored {
		is := ask(t, m.dial(t))
		require.Equal(t, want.Keys, is.Keys)
		require.Equal(t, want.Hash, is.Hash, "the members hold the same")
	}
	list, err := c.MemberList(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Members, len(members))
	l.attached(t, c)
	works(t, c)
}

// A learner is all that is left: etcd's own --force-new-cluster has no voter.
func (b *bench) learner(t *testing.T) {
	members, c := newCluster(t, b.server, 3)
	l := newLoad(t, c, 4)
	l.write(50)
	m := b.join(t, members, c)
	l.write(50)
	lc, err := clientv3.New(clientv3.Config{Endpoints: []string{m.client}})
	require.NoError(t, err)
	defer lc.Close()
	until(t, func(ctx context.Context) error {
		leader, err := c.Status(ctx, c.Endpoints()[0])
		require.NoError(t, err)
		own, err := lc.Status(ctx, m.client)
		if err == nil && own.RaftAppliedIndex < leader.RaftIndex {
			err = errors.New("the learner lags behind")
		}
		return err
	})
	want := ask(t, c)
	killAll(append(members, m))
	require.True(t, b.status(t, m.source()...).IsLearner)
	b.starts(t, l, m, want, "rebuild", m.source()...)
}

// until tries again for half a minute.
func until(t *testing.T, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// starts has lifeboat write a data dir, and starts the server on it.
func (b *bench) starts(t *testing.T, l *load, m *member, want truth, verb string, args ...string) {
	t.Helper()
	r := newMember(t, b.server, m.name, filepath.Join(t.TempDir(), "result"))
	was := b.status(t, args[0:sourceArgs(args)]...)
	b.run(t, append([]string{"etcd", verb, "--to", r.dir, "--initial-advertise-peer-urls", r.peer}, args...)...)
	is := b.status(t, r.dir)
	require.Equal(t, was.Version, is.Version)
	require.Equal(t, was.StorageVersion, is.StorageVersion)
	require.Equal(t, was.Term == 0, is.Term == 0, "a term would make 3.4's database look like one of 3.5")
	hash, revision := b.hash(t, r.dir)

	r.start(t, []*member{r})
	c := r.dial(t)
	got := ask(t, c)
	require.Equal(t, revision, got.Revision)
	require.Equal(t, hash, got.Hash, "lifeboat etcd %s %q", verb, args)
	require.GreaterOrEqual(t, got.Revision, want.Revision)
	if got.Revision == want.Revision && got.Compact == want.Compact {
		require.Equal(t, want.Hash, got.Hash)
	}
	if l != nil {
		require.Equal(t, want.Keys, got.Keys)
		l.attached(t, c)
	}
	list, err := c.MemberList(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Members, 1)
	require.Equal(t, []string{r.peer}, list.Members[0].PeerURLs)
	works(t, c)
	r.stop(t)
	after := b.status(t, r.dir)
	require.Equal(t, was.Version, after.Version)
	require.Equal(t, was.StorageVersion, after.StorageVersion)
	require.NoError(t, os.RemoveAll(r.dir)) // each has 128 MB of log
}

// sourceArgs is how many arguments from the first on name the source.
func sourceArgs(args []string) int {
	if len(args) > 2 && args[1] == "--src-wal-dir" {
		return 3
	}
	return 1
}

// attached: the long lease runs, and holds its keys.
func (l *load) attached(t *testing.T, c *clientv3.Client) {
	t.Helper()
	ttl, err := c.TimeToLive(t.Context(), l.lease, clientv3.WithAttachedKeys())
	require.NoError(t, err)
	require.Greater(t, ttl.TTL, int64(30000))
	for _, key := range ttl.Keys {
		require.Contains(t, l.keys, string(key))
	}
	require.NotEmpty(t, ttl.Keys)
}

// restarted is what the members hold, in their own words: they run again, as
// copies.
func (b *bench) restarted(t *testing.T, members ...*member) truth {
	t.Helper()
	var copies []*member
	for _, m := range members {
		copies = append(copies, m.copied(t))
	}
	c := startAll(t, copies)
	is := ask(t, c)
	for _, m := range copies {
		m.kill()
	}
	return is
}

// forced is what is left of a member after etcd's own --force-new-cluster.
func (b *bench) forced(t *testing.T, m *member) truth {
	t.Helper()
	f := m.copied(t)
	f.start(t, []*member{f}, "--force-new-cluster")
	is := ask(t, f.dial(t))
	f.kill()
	return is
}

// sameMembers: lifeboat's list is that of the server, run again.
func (b *bench) sameMembers(t *testing.T, m, peer *member) {
	t.Helper()
	doc := document[struct {
		Members []struct {
			ID         uint64
			Name       string
			PeerURLs   []string
			ClientURLs []string
		}
		Zombies, Unpromoted []uint64
	}](t, b, append([]string{"etcd", "members", "--peer-dir", peer.dir}, m.source()...)...)
	require.Empty(t, doc.Zombies)
	require.Empty(t, doc.Unpromoted)
	var names []string
	for _, member := range doc.Members {
		names = append(names, member.Name)
	}
	require.Len(t, names, 3)
	require.Contains(t, names, m.name)
	require.Contains(t, names, peer.name)
}

func (m *member) folders() []string {
	if m.wal != "" {
		return []string{m.dir, m.wal}
	}
	return []string{m.dir}
}

func (b *bench) watch(t *testing.T, members ...*member) tree {
	t.Helper()
	var folders []string
	for _, m := range members {
		folders = append(folders, m.folders()...)
	}
	return watch(t, folders...)
}
