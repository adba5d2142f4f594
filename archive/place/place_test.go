package place_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

func folder(t *testing.T, files ...string) *place.Folder {
	t.Helper()
	root := t.TempDir()
	for _, name := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	f, err := place.OpenFolder(root)
	require.NoError(t, err)
	return f
}

func names(t *testing.T, f *place.Folder) []string {
	t.Helper()
	entries, err := f.List(t.Context())
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

// Archives are listed by name; what else stands there is not.
func TestList(t *testing.T) {
	t.Parallel()
	f := folder(t, "b.tar.gz.age", "b.tar.gz.age.minisig", "a.tar", "east/c.tar.zst", "d.tgz", "notes.txt",
		".hidden.tar.gz", ".snapshot/old.tar.gz", "e.tar.gz.part", "e.tar.gz.lifeboat-part", ".tar.gz")
	require.NoError(t, os.Symlink("b.tar.gz.age", filepath.Join(f.Root(), "latest.tar.gz.age")))
	require.Equal(t, []string{"a.tar", "b.tar.gz.age", "d.tgz", "east/c.tar.zst"}, names(t, f))
	require.False(t, place.IsArchive("east/.hidden.tar.gz"), "nor is it one where it is named")
	entries, err := f.List(t.Context())
	require.NoError(t, err)
	require.False(t, entries[0].Signed)
	require.True(t, entries[1].Signed)
	require.Equal(t, int64(1), entries[0].Size)
}

// A place that cannot be read is not an empty one: whoever prunes would be told
// that there is nothing.
func TestListOfAPlaceThatIsGone(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar")
	require.NoError(t, os.RemoveAll(f.Root()))
	_, err := f.List(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// An archive goes with its signature, and nothing else goes.
func TestRemove(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar.gz", "a.tar.gz.minisig", "b.tar.gz", "notes.txt")
	require.NoError(t, f.Remove(t.Context(), place.Entry{Name: "a.tar.gz"}))
	require.Equal(t, []string{"b.tar.gz"}, names(t, f))
	require.NoFileExists(t, filepath.Join(f.Root(), "a.tar.gz.minisig"))
	for _, name := range []string{"notes.txt", "../x.tar.gz", "/etc/x.tar.gz", "gone.tar.gz"} {
		require.Error(t, f.Remove(t.Context(), place.Entry{Name: name}), name)
	}
	outside := folder(t, "x.tar.gz")
	climbing, err := filepath.Rel(f.Root(), filepath.Join(outside.Root(), "x.tar.gz"))
	require.NoError(t, err)
	require.Error(t, f.Remove(t.Context(), place.Entry{Name: filepath.ToSlash(climbing)}), "it leaves the folder")
	require.FileExists(t, filepath.Join(outside.Root(), "x.tar.gz"))
	require.NoError(t, os.Symlink("b.tar.gz", filepath.Join(f.Root(), "l.tar.gz")))
	require.Error(t, f.Remove(t.Context(), place.Entry{Name: "l.tar.gz"}), "a link is not what was listed")
	require.FileExists(t, filepath.Join(f.Root(), "notes.txt"))
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar")
	_, err := place.OpenFolder(filepath.Join(f.Root(), "a.tar"))
	require.Error(t, err)
	_, err = place.OpenFolder(filepath.Join(f.Root(), "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
