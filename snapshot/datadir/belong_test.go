package datadir_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// A member's own log is proved to be so, and that of another member of the same
// cluster to be of that.
func TestLogIsOfTheDatabase(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	for name, dir := range dirs {
		s := survey(t, dir)
		require.Equal(t, datadir.Proved, s.Belongs.Verdict, "%s: %s", name, s.Belongs.Reason)
	}
	other, err := open(t, dirs["etcd-0"]).WithWAL(open(t, dirs["etcd-1"]).WAL()).Survey(t.Context())
	require.NoError(t, err)
	require.Equal(t, datadir.Proved, other.Belongs.Verdict)
}

// The log of one cluster is never put onto the database of another.
func TestLogOfAnotherCluster(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	restored := filepath.Join(t.TempDir(), "restored")
	_, err := restore(t, replay(t, dirs["etcd-0"], datadir.ReplayOptions{}), one(restored, loopback(t)))
	require.NoError(t, err)
	foreign(t, open(t, restored).WithWAL(open(t, dirs["etcd-1"]).WAL()))
	foreign(t, open(t, dirs["etcd-1"]).WithWAL(open(t, restored).WAL()))

	// Also where it was put into the dir.
	require.NoError(t, os.RemoveAll(open(t, restored).WAL()))
	require.NoError(t, os.CopyFS(open(t, restored).WAL(), os.DirFS(open(t, dirs["etcd-2"]).WAL())))
	foreign(t, open(t, restored))
}

func foreign(t *testing.T, dir *datadir.Dir) {
	t.Helper()
	_, err := dir.Survey(t.Context())
	require.ErrorIs(t, err, datadir.ErrForeignLog)
	t.Log(err)
	_, err = dir.Replay(t.Context(), datadir.ReplayOptions{AcceptLoss: true})
	require.ErrorIs(t, err, datadir.ErrForeignLog, "also where loss is accepted")
}

// life runs a cluster of one on a dir, which may exist: it puts some keys and
// stops in order, so that the database has all of them.
func life(t *testing.T, dir string, peer url.URL, prefix string, puts int) {
	t.Helper()
	cfg := etcdConfig("one", dir, peer)
	cfg.SnapshotCount = 100
	e, stop := startUntil(t, cfg)
	client := ready(t, e.Server)
	for i := range puts {
		_, err := client.Put(t.Context(), fmt.Sprint(prefix, i%50), fmt.Sprint(prefix, i))
		require.NoError(t, err)
	}
	stop()
}

// Two clusters of the same name, peer URL and token have the same ids: of these,
// what the log wrote and when tells them apart.
func TestLogOfATwin(t *testing.T) {
	t.Parallel()
	root, peer := t.TempDir(), loopback(t)
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	life(t, a, peer, "/a/", 30)
	life(t, b, peer, "/b/", 130)
	require.Equal(t, survey(t, a).Log.ClusterID, survey(t, b).Log.ClusterID)
	foreign(t, open(t, a).WithWAL(open(t, b).WAL()))

	// A restore gives them once more. Its database is ahead of its log.
	source := filepath.Join(root, "source")
	life(t, source, loopback(t), "/source/", 80)
	opts := one(filepath.Join(root, "restored"), peer)
	opts.Token = "etcd-cluster"
	opts.Bump = 0
	_, err := restore(t, replay(t, source, datadir.ReplayOptions{}), opts)
	require.NoError(t, err)
	restored := filepath.Join(root, "restored")
	require.Equal(t, survey(t, a).Log.ClusterID, survey(t, restored).Log.ClusterID)
	foreign(t, open(t, restored).WithWAL(open(t, a).WAL()))
	foreign(t, open(t, restored).WithWAL(open(t, b).WAL()))
}

// Dirs of two lives of a cluster, between which it was restored under its old
// token, are not those of one.
func TestDirsOfTwoLives(t *testing.T) {
	t.Parallel()
	root, peer := t.TempDir(), loopback(t)
	before, restored := filepath.Join(root, "before"), filepath.Join(root, "restored")
	life(t, before, peer, "/a/", 200)
	opts := one(restored, peer)
	opts.Token, opts.Bump = "etcd-cluster", 1_000_000
	_, err := restore(t, replay(t, before, datadir.ReplayOptions{}), opts)
	require.NoError(t, err)
	life(t, restored, peer, "/b/", 30)
	a, b := survey(t, before), survey(t, restored)
	require.Equal(t, a.Log.ClusterID, b.Log.ClusterID)
	_, err = datadir.Best([]*datadir.Survivor{a, b})
	require.ErrorIs(t, err, datadir.ErrOtherCluster)
	t.Log(err)

	// Without a bump, and with as many writes.
	other := filepath.Join(root, "other")
	life(t, other, peer, "/c/", 200)
	_, err = datadir.Best([]*datadir.Survivor{a, survey(t, other)})
	require.ErrorIs(t, err, datadir.ErrOtherCluster)
	t.Log(err)
}

// A database of before, with the log that went on from it: the result is what
// the member has now.
func TestOlderDatabaseOfTheSameMember(t *testing.T) {
	t.Parallel()
	root, peer := t.TempDir(), loopback(t)
	dir, before := filepath.Join(root, "etcd"), filepath.Join(root, "before")
	life(t, dir, peer, "/a/", 120)
	require.NoError(t, os.CopyFS(before, os.DirFS(dir)))
	life(t, dir, peer, "/a/", 240)
	now := survey(t, dir)
	require.Greater(t, now.Log.Snapshot, survey(t, before).Info.RaftIndex, "the log has it on record that the database went further")

	older := open(t, before).WithWAL(open(t, dir).WAL())
	r, err := older.Replay(t.Context(), datadir.ReplayOptions{})
	require.NoError(t, err)
	defer r.File.Close()
	require.Equal(t, datadir.Proved, r.Survivor.Belongs.Verdict)
	require.Equal(t, keys(t, database(t, replay(t, dir, datadir.ReplayOptions{}))), keys(t, database(t, r)))
}

// A database that names no member, as the first moments of a cluster leave it,
// proves nothing.
func TestBelongingOfAYoungCluster(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	crash(t, dir, 5)
	s := survey(t, dir)
	require.NotEqual(t, datadir.Disproved, s.Belongs.Verdict)
	r := replay(t, dir, datadir.ReplayOptions{})
	require.Len(t, keys(t, database(t, r)), 5)
}

// One of three voters is no majority, and it is said wherever a dir is read.
func TestEvidenceOfAReplay(t *testing.T) {
	t.Parallel()
	a, b, _ := voters(t)
	lone := replay(t, b, datadir.ReplayOptions{})
	require.Equal(t, "1 of 3 voters at hand, no majority: acknowledged writes may be missing", lone.AtHand.String())
	text, err := lone.AtHand.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"voters":3,"votersAtHand":1,"majority":false,"meaning":"1 of 3 voters at hand, no majority: acknowledged writes may be missing"}`, string(text))

	both := replay(t, a, datadir.ReplayOptions{Peers: []*datadir.Survivor{survey(t, b)}})
	require.True(t, both.AtHand.Complete())
}
