package datadir

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// built is a build of a folder whose only file says "new", in the place of one
// that says "old".
func built(t *testing.T) (Target, *build) {
	t.Helper()
	target := Target{Path: filepath.Join(t.TempDir(), "etcd"), Replace: true, Now: time.Unix(1e9, 0)}
	require.NoError(t, os.MkdirAll(target.Path, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(target.Path, "text"), []byte("old"), 0o600))
	b, err := target.begin()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(b.data, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(b.data, "text"), []byte("new"), 0o600))
	return target, b
}

func says(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "text"))
	require.NoError(t, err)
	return string(data)
}

// Both ways of replacing: the old one goes aside, and nothing else is left.
func TestReplace(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(b *build) error{"exchange": (*build).replace, "in steps": (*build).replaceInSteps} {
		target, b := built(t)
		require.NoError(t, put(b), name)
		require.Equal(t, "new", says(t, target.Path), name)
		require.Equal(t, "old", says(t, b.aside), name)
		require.NoDirExists(t, b.data, name)
	}
	// A name that is taken is not.
	target, b := built(t)
	require.NoError(t, os.Mkdir(b.aside, 0o700))
	require.ErrorIs(t, b.commit(), fs.ErrExist)
	require.Equal(t, "old", says(t, target.Path))
	require.NoDirExists(t, b.part)
}

// A kill at each step of replacing: there is a folder at every moment, and the
// next run keeps the old one, wherever it stands.
func TestReplaceKilled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps     func(t *testing.T, b *build)
		now, kept string // what stands in its place; what is aside after the next run
	}{
		"before": {now: "old", steps: func(*testing.T, *build) {}},
		"after the note": {now: "old", steps: func(t *testing.T, b *build) {
			require.NoError(t, noteOf(t, b).write(b.part))
		}},
		"between exchange and rename": {now: "new", kept: "old", steps: func(t *testing.T, b *build) {
			require.NoError(t, noteOf(t, b).write(b.part))
			require.NoError(t, exchange(b.built, b.final))
		}},
		"after the rename": {now: "new", kept: "old", steps: func(t *testing.T, b *build) {
			require.NoError(t, b.replace())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, killed := built(t)
			tc.steps(t, killed)
			require.NoError(t, killed.lock.Close())
			require.Equal(t, tc.now, says(t, target.Path))
			exists, aside := Leftover(killed.part)
			require.True(t, exists)
			require.Equal(t, name == "between exchange and rename", aside != "")

			target.Now = target.Now.Add(time.Minute)
			next, err := target.begin()
			require.NoError(t, err)
			if tc.kept == "" {
				require.NoDirExists(t, killed.aside)
			} else {
				require.Equal(t, tc.kept, says(t, killed.aside))
			}
			require.NoError(t, next.abort())
			require.Equal(t, tc.now, says(t, target.Path))
		})
	}
	// A note that cannot be read is no leave to remove what stands beside it.
	target, killed := built(t)
	require.NoError(t, os.WriteFile(filepath.Join(killed.part, noteFile), []byte("{"), 0o600))
	require.NoError(t, killed.lock.Close())
	_, err := target.begin()
	require.ErrorContains(t, err, "reading what")
	require.DirExists(t, killed.built)
}

func noteOf(t *testing.T, b *build) note {
	t.Helper()
	n := note{Built: b.built, Aside: b.aside}
	var err error
	n.Device, n.Inode, err = identity(b.built)
	require.NoError(t, err)
	return n
}

// A file is replaced by a rename; the old one has its second name before.
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
	left := target.Path + ".part" // by a run that was killed before its rename
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	saved, err := Save(t.Context(), db, 3, target)
	require.NoError(t, err)
	data, err := os.ReadFile(target.Path)
	require.NoError(t, err)
	require.Equal(t, "new"+string(saved.Sum[:]), string(data))
	data, err = os.ReadFile(saved.Aside)
	require.NoError(t, err)
	require.Equal(t, "old", string(data))
	info, err := os.Stat(target.Path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode().Perm(), "as the one it replaces")
	require.NoFileExists(t, left)

	// What is no file of a killed run is left alone.
	require.NoError(t, os.WriteFile(left, []byte("mine"), 0o600))
	require.NoError(t, os.Chmod(left, 0o644))
	target.Now = target.Now.Add(time.Minute)
	_, err = Save(t.Context(), db, 3, target)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, "in the way")
	require.FileExists(t, left)
}

// A log without its data dir would be in the way of the second try.
func TestLogGoesWithItsDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := NewMember{Target: Target{Path: filepath.Join(dir, "etcd")}, WALDir: filepath.Join(dir, "wal")}
	place, err := m.Target.place()
	require.NoError(t, err)
	b, err := beginMember(m, PlannedMember{Builds: place.part, WALDir: m.WALDir})
	require.NoError(t, err)
	for _, under := range []string{b.data, b.walBuilt()} {
		require.NoError(t, os.Mkdir(under, 0o700))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(m.Target.Path, "member"), 0o700)) // somebody was faster
	require.ErrorIs(t, b.commitAll(), fs.ErrExist)
	require.NoDirExists(t, m.WALDir)
	require.NoDirExists(t, place.part)
	require.DirExists(t, filepath.Join(m.Target.Path, "member"))
}
