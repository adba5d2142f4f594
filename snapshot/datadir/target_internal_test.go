package datadir

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A file is replaced, and the one that stood there kept. What a killed run left is
// removed and named; what nobody of ours made is in the way.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := os.Create(filepath.Join(dir, "db"))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.WriteString("new")
	require.NoError(t, err)
	target := Target{Path: filepath.Join(dir, "saved"), Now: time.Unix(1e9, 0)}
	require.NoError(t, os.WriteFile(target.Path, []byte("old"), 0o640))
	_, err = Save(t.Context(), db, 3, target)
	require.ErrorIs(t, err, fs.ErrExist)

	target.Replace = true
	left := target.Path + ".part"
	require.NoError(t, os.Mkdir(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, ".lifeboat-part"), nil, 0o600))
	var found []Leftover
	target.Found = func(l Leftover) { found = append(found, l) }
	for _, old := range []string{"old", "new"} { // both in one second
		saved, err := Save(t.Context(), db, 3, target)
		require.NoError(t, err)
		data, err := os.ReadFile(target.Path)
		require.NoError(t, err)
		require.Equal(t, "new"+string(saved.Sum[:]), string(data))
		data, err = os.ReadFile(saved.Aside)
		require.NoError(t, err)
		require.Equal(t, old, string(data[:3]))
		info, err := os.Stat(target.Path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o640), info.Mode().Perm(), "as the one it replaces")
	}
	require.Equal(t, []Leftover{{Part: left}}, found)
	require.NoFileExists(t, left)

	require.NoError(t, os.WriteFile(left, []byte("mine"), 0o600))
	_, err = Save(t.Context(), db, 3, target)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, "already exists and was not created by lifeboat")
	require.FileExists(t, left)
}

// A log without its data dir would be in the way of the second try.
func TestLogGoesWithItsDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := NewMember{Target: Target{Path: filepath.Join(dir, "etcd")}, WALDir: filepath.Join(dir, "wal")}
	place, err := m.Target.place()
	require.NoError(t, err)
	b, err := beginMember(m, PlannedMember{Builds: place.Part, WALDir: m.WALDir}, nil)
	require.NoError(t, err)
	for _, under := range []string{b.Data, b.walBuilt()} {
		require.NoError(t, os.Mkdir(under, 0o700))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(m.Target.Path, "member"), 0o700)) // somebody was faster
	require.ErrorIs(t, b.commitAll(), fs.ErrExist)
	require.NoDirExists(t, m.WALDir)
	require.NoDirExists(t, place.Part)
	require.DirExists(t, filepath.Join(m.Target.Path, "member"))
}
