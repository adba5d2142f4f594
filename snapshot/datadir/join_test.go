package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// The newest member's database is gone and its log whole; another member is
// whole, and behind. The database of the one with the log of the other has
// everything.
func TestJoin(t *testing.T) {
	t.Parallel()
	dirA, dirB, dirC := voters(t)
	want := replay(t, dirC, datadir.ReplayOptions{})
	db := open(t, dirA).Database()
	info, err := os.Stat(db)
	require.NoError(t, err)
	require.NoError(t, os.Remove(db))
	gone := survey(t, dirA)
	require.False(t, gone.Newborn, "its log is there")
	require.ErrorIs(t, gone.DatabaseErr, snapshot.ErrDamaged)
	require.NotNil(t, datadir.Join([]*datadir.Survivor{gone, survey(t, dirB)}, survey(t, dirB)))
	require.NoError(t, os.WriteFile(db, make([]byte, info.Size()), 0o600))

	a, b := survey(t, dirA), survey(t, dirB)
	both := []*datadir.Survivor{a, b}
	best, err := datadir.Best(both)
	require.NoError(t, err)
	require.Same(t, b, best)
	joined := datadir.Join(both, best)
	require.NotNil(t, joined)
	require.Same(t, b, joined.Lender)
	require.Equal(t, dirA, joined.Dir.Path)
	watch := watchTree(t, dirA)
	r, err := joined.Replay(t.Context(), datadir.ReplayOptions{Peers: both})
	require.NoError(t, err)
	defer r.File.Close()
	watch.unchanged(t)
	require.Equal(t, want.Hash, r.Hash)
	require.True(t, r.AtHand.Complete(), "both logs are at hand: %s", r.AtHand)

	require.Nil(t, datadir.Join(both[1:], b), "nothing to mend")
	// An entry of another term in the same place: the logs do not match.
	other := *b
	other.Info.RaftTerm = 7
	require.Nil(t, datadir.Join([]*datadir.Survivor{a, &other}, &other))
}

// A dir whose member was removed, or never began, is told for what it is.
func TestMembership(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	a, b := survey(t, dirs["etcd-0"]), survey(t, dirs["etcd-1"])
	require.Equal(t, datadir.InCluster, a.Membership([]*datadir.Survivor{a, b}))

	// b has applied the removal of a; a's own database does not know of it.
	last, term := b.Newest()
	extend(t, dirs["etcd-1"], last+1, term, last+1, &raftpb.Entry{Type: raftpb.EntryNormal.Enum()})
	b.Removed = append(b.Removed, a.Log.NodeID)
	require.Equal(t, datadir.Removed, a.Membership([]*datadir.Survivor{a, b}))

	// Added, and never started: the others have no name of it.
	for i := range b.Members {
		if b.Members[i].ID == a.Log.NodeID {
			b.Members[i].Name = ""
		}
	}
	b.Removed, a.Members = nil, nil
	require.Equal(t, datadir.NotStarted, a.Membership([]*datadir.Survivor{a, b}))
}

// A member that was killed right after its start has a database without
// buckets, an empty file or none, and no log. That is no damage.
func TestNewborn(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.MkdirAll(filepath.Join(empty, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(empty, "member", "snap", "db"), nil, 0o600))
	bare := filepath.Join(t.TempDir(), "bare")
	require.NoError(t, os.MkdirAll(filepath.Join(bare, "member", "snap"), 0o700))
	db, err := bolt.Open(filepath.Join(bare, "member", "snap", "db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	folders := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(folders, "member", "snap"), 0o700))
	whole := survey(t, harbour(t)["etcd-0"])
	for _, dir := range []string{empty, bare, folders, filepath.Join(folders, "member")} {
		s := survey(t, dir)
		require.True(t, s.Newborn)
		require.Empty(t, s.Damage())
		require.Equal(t, datadir.NotStarted, s.Membership(nil))
		_, err := s.Replay(t.Context(), datadir.ReplayOptions{})
		require.ErrorIs(t, err, datadir.ErrNotStarted)
		require.NotErrorIs(t, err, snapshot.ErrDamaged)
		both := []*datadir.Survivor{s, whole}
		best, err := datadir.Best(both)
		require.NoError(t, err)
		require.Same(t, whole, best)
		require.Empty(t, best.Evidence(both, best.Voters()).Doubts)
		require.Equal(t, 1, best.Evidence(both, best.Voters()).Held)
	}
	// With a log it is damage.
	require.NoError(t, os.CopyFS(open(t, empty).WAL(), os.DirFS(whole.Dir.WAL())))
	require.False(t, survey(t, empty).Newborn)
}

// A log that is not in its place is looked for: in the dir, and beside it. A log
// beside the database, in one folder, is its log.
func TestLogElsewhere(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-0"]
	wal := filepath.Join(dir, "member", "wal")
	require.Empty(t, open(t, dir).LogElsewhere())
	require.NoError(t, os.Rename(wal, wal+".old"))
	require.NoError(t, os.CopyFS(dir+"-wal", os.DirFS(wal+".old")))
	require.Equal(t, []string{wal + ".old", dir + "-wal"}, open(t, dir).LogElsewhere())
	require.Equal(t, []string{dir + "-wal"}, open(t, dir).WithWAL(wal+".old").LogElsewhere())

	flat := t.TempDir()
	require.NoError(t, os.CopyFS(flat, os.DirFS(wal+".old")))
	require.NoError(t, os.Rename(open(t, dir).Database(), filepath.Join(flat, "db")))
	require.Equal(t, datadir.Proved, survey(t, flat).Belongs.Verdict)

	// A database of another name is no database, and is named.
	require.NoError(t, os.Rename(wal+".old", wal))
	for _, name := range []string{"db.bak", "0000000000000002-0000000000000005.snap"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "member", "snap", name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "member", "snap", "folder"), 0o700))
	require.ErrorContains(t, survey(t, dir).DatabaseErr, `["db.bak"]`)
}

// What is no data dir is told for what it is.
func TestOpenByContent(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-0"]
	linked := filepath.Join(t.TempDir(), "etcd")
	require.NoError(t, os.Symlink(dir, linked))
	require.Equal(t, datadir.Proved, survey(t, linked).Belongs.Verdict)

	for path, says := range map[string]string{
		filepath.Join(dir, "member", "wal"): "--src-wal-dir",
		filepath.Dir(dir):                   "etcd-1",
		t.TempDir():                         "there is no member/snap/db in it",
		filepath.Join(dir, "nothing"):       "it does not exist",
		open(t, dir).Database():             "it is no folder",
	} {
		_, err := datadir.Open(path)
		require.ErrorIs(t, err, datadir.ErrNotDataDir)
		require.ErrorContains(t, err, says)
	}
}
