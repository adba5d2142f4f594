package datadir

import (
	"fmt"
	"hash/maphash"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// What another program has open for writing is in use, and it is named; a backup
// program that reads is in nobody's way.
func TestInUseByAnother(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("open files are told by /proc")
	}
	path := filepath.Join(t.TempDir(), "etcd")
	d := &Dir{Path: path}
	require.NoError(t, os.MkdirAll(filepath.Dir(d.Database()), 0o700))
	require.NoError(t, os.MkdirAll(d.WAL(), 0o700))
	require.NoError(t, d.InUse(), "there is nothing in it")
	segment := filepath.Join(d.WAL(), "0000000000000000-0000000000000000.wal")
	for _, file := range []string{d.Database(), segment} {
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		for flag, used := range map[int]bool{os.O_RDONLY: false, os.O_WRONLY: true, os.O_RDWR: true} {
			open, err := os.OpenFile(file, flag, 0)
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), "sleep", "60")
			cmd.Stdin = open
			require.NoError(t, cmd.Start())
			require.NoError(t, open.Close())
			err = d.InUse()
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait() // it was killed
			if !used {
				require.NoError(t, err)
				continue
			}
			var by *snapshot.InUseError
			require.ErrorAs(t, err, &by)
			require.Equal(t, []any{cmd.Process.Pid, "sleep"}, []any{by.PID, by.Command})
		}
	}
	require.NoError(t, d.InUse(), "it has ended")
}

// What is to be written must not stand in what is read, by whatever name.
func TestInside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "etcd")
	snap := filepath.Join(dir, "member", "snap")
	require.NoError(t, os.MkdirAll(snap, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(snap, "db"), nil, 0o600))
	require.NoError(t, os.Mkdir(dir+"2", 0o700))
	require.NoError(t, os.Symlink(dir, filepath.Join(root, "link")))
	for _, c := range []struct {
		dir, to string
		want    bool
	}{
		{dir, filepath.Join(dir, "new"), true},
		{dir, filepath.Join(dir, "no", "such", "folder", "new"), true},
		{dir, filepath.Join(snap, "new"), true},
		{snap, filepath.Join(dir, "new"), true},
		{dir, filepath.Join(root, "link", "new"), true},
		{filepath.Join(root, "link"), filepath.Join(dir, "new"), true},
		{dir, filepath.Join(root, "new"), false},
		{dir, dir + "2", false},
		{dir, filepath.Join(dir+"2", "new"), false},
		{dir, "", false},
		{filepath.Join(root, "nothing"), filepath.Join(root, "nothing", "new"), false},
		{filepath.Join(snap, "db"), filepath.Join(snap, "new"), false},
	} {
		got, err := Inside(c.dir, c.to)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s in %s", c.to, c.dir)
	}
}

// A folder with nothing in it is the dir of a member that never began.
func TestUnborn(t *testing.T) {
	t.Parallel()
	s := Unborn(t.TempDir())
	require.Equal(t, NotStarted, s.Membership(nil))
	require.Equal(t, Empty, s.Against(nil))
	require.Empty(t, s.Damage())
	_, err := s.Replay(t.Context(), ReplayOptions{AcceptLoss: true})
	require.ErrorIs(t, err, ErrNotStarted)
}

// A result has the records of its source, and where the revision was raised one
// more, without a key. Each restore is a cluster of its own, unless it is told which.
func TestRecordsOfAResult(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 4, Updates: -1, Deletions: -1})
	require.NoError(t, err)
	file, err := os.Open(path)
	require.NoError(t, err)
	db, err := snapshot.OpenFile(t.Context(), file)
	require.NoError(t, err)
	defer db.Close()
	newest := db.Revision()
	for _, c := range []struct {
		cut, bumped int64
		same        bool
	}{{0, 0, true}, {newest, 0, true}, {newest - 1, 0, false}, {newest - 1, newest, false}, {0, newest + 5, false}} {
		err := sameRecords(t.Context(), db, db, c.cut, c.bumped)
		if c.same {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, snapshot.ErrDamaged, "cut %d, bumped to %d", c.cut, c.bumped)
	}
	tokens := map[string]bool{}
	for _, token := range []string{"", "", "mine"} {
		plan, err := PlanRestore(t.Context(), db, file, RestoreOptions{
			Members: []NewMember{{Name: "one", PeerURLs: []string{"http://one:2380"}, Target: Target{Path: filepath.Join(t.TempDir(), "etcd")}}},
			Token:   token,
		})
		require.NoError(t, err)
		tokens[plan.Token] = true
	}
	require.Len(t, tokens, 3)
	require.True(t, tokens["mine"])
	_, err = PlanRestore(t.Context(), db, file, RestoreOptions{})
	require.ErrorContains(t, err, "no member to restore")
}

// A source that cannot be read, or is shorter than its pages, is no copy.
func TestCopyOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, err := os.Create(filepath.Join(dir, "from"))
	require.NoError(t, err)
	_, err = from.WriteString("pages")
	require.NoError(t, err)
	require.NoError(t, copyTo(t.Context(), filepath.Join(dir, "whole"), from, 5))
	copied, err := os.ReadFile(filepath.Join(dir, "whole"))
	require.NoError(t, err)
	require.Equal(t, "pages", string(copied))
	require.ErrorContains(t, copyTo(t.Context(), filepath.Join(dir, "short"), from, 6), "ends at 5 bytes, its pages take 6")
	require.NoError(t, from.Close())
	require.ErrorIs(t, copyTo(t.Context(), filepath.Join(dir, "closed"), from, 5), os.ErrClosed)
}

// Evidence that keeps within no size by giving up terms is an error.
func TestCollectedOfTooMany(t *testing.T) {
	t.Parallel()
	s := member(1, 10, 2, 8)
	s.Dir = &Dir{Path: t.TempDir()}
	for id := range uint64(3000) {
		s.Members = append(s.Members, snapshot.Member{ID: id, Name: fmt.Sprint("member-", id), PeerURLs: []string{strings.Repeat("x", 50)}})
	}
	_, err := s.Collect(nil, "m0")
	require.ErrorContains(t, err, "it takes ")
}

// Where a key ends and its value begins is part of what is compared.
func TestSumsOfKeysAndValues(t *testing.T) {
	t.Parallel()
	f := &retained{seed: maphash.MakeSeed()}
	require.NotEqual(t, f.sum([]byte("ab"), []byte("c")), f.sum([]byte("a"), []byte("bc")))
	require.NotEqual(t, putSumOf([]byte("ab"), []byte("c")), putSumOf([]byte("a"), []byte("bc")))
}
