package place_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// What is written is whole and is never written over; what leads out of the
// place is refused.
func TestPutAndRead(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar")
	require.NoError(t, f.Put(t.Context(), ".lifeboat/x/y.json", strings.NewReader("first")))
	require.ErrorIs(t, f.Put(t.Context(), ".lifeboat/x/y.json", strings.NewReader("second")), fs.ErrExist)
	data, err := f.Read(t.Context(), ".lifeboat/x/y.json", 10)
	require.NoError(t, err)
	require.Equal(t, "first", string(data))
	_, err = f.Read(t.Context(), ".lifeboat/x/y.json", 3)
	require.Error(t, err, "longer than asked for")
	_, err = f.Read(t.Context(), "gone", 3)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, []string{"a.tar"}, names(t, f), "the ledger is not an archive")
	below, err := f.Below(t.Context(), ".lifeboat")
	require.NoError(t, err)
	require.Equal(t, []string{".lifeboat/x/y.json"}, below)

	_, err = f.Entry(".lifeboat")
	require.ErrorIs(t, err, fs.ErrInvalid, "a folder")
	_, err = f.Entry("gone.tar")
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.Error(t, f.Put(t.Context(), "half.tar", io.MultiReader(strings.NewReader("half"), failing{})))
	require.NoFileExists(t, filepath.Join(f.Root(), "half.tar"))
	for _, name := range []string{"", "../x.tar", "/x.tar", "a/../b.tar", "a\x1b[2J.tar", "a\n.tar", `..\x.tar`} {
		require.Error(t, f.Put(t.Context(), name, strings.NewReader("x")), "%q", name)
		_, err := f.Read(t.Context(), name, 10)
		require.Error(t, err, "%q", name)
	}
}

// What is written over is lifeboat's own, and nothing else; no link leads out.
func TestReplace(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar")
	for _, content := range []string{"first", "second"} {
		require.NoError(t, f.Replace(t.Context(), ".lifeboat/x/y", []byte(content)))
		data, err := f.Read(t.Context(), ".lifeboat/x/y", 10)
		require.NoError(t, err)
		require.Equal(t, content, string(data))
	}
	for _, name := range []string{"a.tar", ".lifeboat", ".lifeboat/../a.tar", ".other/x", "", "/etc/x"} {
		require.Error(t, f.Replace(t.Context(), name, []byte("x")), "%q", name)
	}
	outside := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(f.Root(), ".lifeboat", "out")))
	require.Error(t, f.Replace(t.Context(), ".lifeboat/out/y", []byte("x")))
	require.NoFileExists(t, filepath.Join(outside, "y"))
	data, err := f.Read(t.Context(), "a.tar", 10)
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the network is gone") }

// What is opened is what was listed.
func TestReplacedBetweenListingAndReading(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar", "b.tar")
	entries, err := f.List(t.Context())
	require.NoError(t, err)
	path := filepath.Join(f.Root(), "a.tar")
	require.NoError(t, os.WriteFile(path, []byte("y"), 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
	_, err = f.Open(t.Context(), entries[0])
	require.ErrorIs(t, err, place.ErrReplaced)
	file, err := f.Open(t.Context(), entries[1])
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// A listing that lies is an error, and no archive.
func TestHostileListing(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{
		{"../../etc/passwd.tar"}, {"/etc/x.tar"}, {"a\x1b[2J.tar.gz"}, {"a//b.tar"}, {"x.tar.gz", "x.tar.gz"},
		{"\xff.tar"}, {strings.Repeat("n", 2000) + ".tar"}, {"a/./b.tar.gz.minisig"},
	} {
		var all []place.Entry
		for _, name := range names {
			all = append(all, place.Entry{Name: name, Size: 1})
		}
		_, err := place.Listed(all)
		require.Error(t, err, "%q", names)
	}
	_, err := place.Listed([]place.Entry{{Name: "a.tar", Size: -1}})
	require.Error(t, err)
	list, err := place.Listed([]place.Entry{{Name: "b.tar"}, {Name: "a\x1b.txt"}, {Name: ".lifeboat/x.tar"}, {Name: "a.tar"}, {Name: "a.tar.minisig"}})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.True(t, list[0].Signed)
}

// latest points at an archive and its signature, and is moved in one step.
func TestPointLatest(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar.gz.age", "a.tar.gz.age.minisig", "b.tar.gz.age", "sub/c.tar.zst")
	at := func(name string) string { return filepath.Join(f.Root(), name) }
	pointer, err := place.PointLatest(at("a.tar.gz.age"))
	require.NoError(t, err)
	require.Equal(t, at("latest.tar.gz.age"), pointer)
	to, err := os.Readlink(pointer)
	require.NoError(t, err)
	require.Equal(t, "a.tar.gz.age", to)
	require.FileExists(t, pointer+place.SignatureSuffix)
	_, err = place.PointLatest(at("b.tar.gz.age"))
	require.NoError(t, err)
	to, err = os.Readlink(pointer)
	require.NoError(t, err)
	require.Equal(t, "b.tar.gz.age", to)
	require.NoFileExists(t, pointer+place.SignatureSuffix, "that of another archive")
	require.NotContains(t, names(t, f), "latest.tar.gz.age")

	require.NoError(t, os.WriteFile(at("sub/latest.tar.zst"), []byte("mine"), 0o600))
	_, err = place.PointLatest(at("sub/c.tar.zst"))
	require.ErrorIs(t, err, fs.ErrExist)
}

// The record of a run is written once, and is of one content.
func TestLedger(t *testing.T) {
	t.Parallel()
	f := folder(t, "a.tar")
	l, err := place.OpenLedger(f, "nightly-1")
	require.NoError(t, err)
	e := place.Entry{Name: "a.tar", Version: "1"}
	record, err := l.Get(t.Context(), e)
	require.NoError(t, err)
	require.Nil(t, record)
	require.NoError(t, l.Put(t.Context(), e, []byte("one")))
	require.NoError(t, l.Put(t.Context(), e, []byte("two")))
	record, err = l.Get(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, "one", string(record))
	record, err = l.Get(t.Context(), place.Entry{Name: "a.tar", Version: "2"})
	require.NoError(t, err)
	require.Nil(t, record)
	other, err := place.OpenLedger(f, "nightly-2")
	require.NoError(t, err)
	require.NoError(t, other.Put(t.Context(), e, []byte("later")))
	all, err := place.Records(t.Context(), f, "")
	require.NoError(t, err)
	require.Len(t, all, 2)
	all, err = place.Records(t.Context(), f, "nightly-2")
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("later")}, all)
	for _, run := range []string{"", "..", "a/b", ".x", "a b", strings.Repeat("a", 101)} {
		_, err := place.OpenLedger(f, run)
		require.Error(t, err, run)
	}
	_, err = place.OpenLedger(f, strings.Repeat("a", 100))
	require.NoError(t, err)
}
