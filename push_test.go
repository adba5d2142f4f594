package lifeboat_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// atPhase runs do when a phase begins, and at its first bytes.
type atPhase struct {
	begins, counts func()
	notes          []string
}

func (p *atPhase) observer() lifeboat.Observer {
	return lifeboat.Observer{
		Note:     func(message string) { p.notes = append(p.notes, message) },
		Progress: func(string, int64) lifeboat.Phase { once(&p.begins); return p },
	}
}

func (p *atPhase) Add(int64) { once(&p.counts) }
func (p *atPhase) Done()     {}

func once(do *func()) {
	if run := *do; run != nil {
		*do = nil
		run()
	}
}

// some bytes that are no archive: nobody opens what is carried from place to place.
func bytesOf(seed byte, n int) []byte { return bytes.Repeat([]byte{seed, 1, 2, 3, 5, 7, 11}, n/7) }

func folderOf(t *testing.T) (place.Store, string) {
	t.Helper()
	dir := t.TempDir()
	folder, err := place.OpenFolder(dir)
	require.NoError(t, err)
	return folder, dir
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// An archive is in the place once, with its signature; what has its name already is
// never written over.
func TestPush(t *testing.T) {
	t.Parallel()
	to, place := folderOf(t)
	data := bytesOf(1, 3<<20)
	path := writeFile(t, filepath.Join(t.TempDir(), "a.tar.gz"), data)
	writeFile(t, path+lifeboat.SignatureSuffix, []byte("signature"))
	latest := filepath.Join(t.TempDir(), "latest")
	require.NoError(t, os.Symlink(path, latest))

	want := lifeboat.Pushed{Name: "a.tar.gz", Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Sent: true, Signed: true}
	for _, from := range []string{latest, path} {
		pushed, err := lifeboat.Push(t.Context(), from, to, time.Time{}, lifeboat.Observer{})
		require.NoError(t, err)
		require.Equal(t, want, pushed)
		want.Sent = false // the next time it is there
	}
	for name, content := range map[string][]byte{"a.tar.gz": data, "a.tar.gz" + lifeboat.SignatureSuffix: []byte("signature")} {
		have, err := os.ReadFile(filepath.Join(place, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, have), name)
	}

	// Another content under the name, and another signature of the same.
	writeFile(t, path, bytesOf(2, len(data)))
	_, err := lifeboat.Push(t.Context(), path, to, time.Time{}, lifeboat.Observer{})
	require.ErrorIs(t, err, fs.ErrExist)
	writeFile(t, path, data)
	writeFile(t, path+lifeboat.SignatureSuffix, []byte("another"))
	_, err = lifeboat.Push(t.Context(), path, to, time.Time{}, lifeboat.Observer{})
	require.ErrorIs(t, err, fs.ErrExist)
	have, err := os.ReadFile(filepath.Join(place, "a.tar.gz"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, have))

	e := (*lifeboat.Error)(nil)
	for _, from := range []string{t.TempDir(), writeFile(t, filepath.Join(t.TempDir(), "b"), data)} { // a folder; and no folder can lock
		_, err = lifeboat.Push(t.Context(), from, to, time.Now().Add(time.Hour), lifeboat.Observer{})
		require.ErrorAs(t, err, &e)
		require.Equal(t, lifeboat.Misused, e.Class)
	}
	require.NoFileExists(t, filepath.Join(place, "b"))
}

// A file that is written to while it is pushed is not what its sum says.
func TestPushOfWhatChanges(t *testing.T) {
	t.Parallel()
	to, _ := folderOf(t)
	path := writeFile(t, filepath.Join(t.TempDir(), "a.tar.gz"), bytesOf(1, 7000))
	var p atPhase
	p.counts = func() { p.begins = func() { writeFile(t, path, bytesOf(2, 7000)) } } // hashed, and then
	_, err := lifeboat.Push(t.Context(), path, to, time.Time{}, p.observer())
	require.ErrorContains(t, err, "the file changed meanwhile")
}

// What was pulled is the archive with its signature, and has its name when it is all
// there; a part is gone on with as long as it is of the same archive.
func TestPull(t *testing.T) {
	t.Parallel()
	place, here := t.TempDir(), t.TempDir()
	data := bytesOf(1, 3<<20)
	source, target := writeFile(t, filepath.Join(place, "a.tar.gz"), data), filepath.Join(here, "back.tar.gz")
	writeFile(t, source+lifeboat.SignatureSuffix, []byte("signature"))
	cutOff := func() {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := lifeboat.Pull(ctx, source, target, lifeboat.Options{Observer: (&atPhase{counts: cancel}).observer()})
		require.ErrorIs(t, err, context.Canceled)
		require.NoFileExists(t, target)
	}
	same := func(want []byte) {
		have, err := os.ReadFile(target)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have))
		left, err := filepath.Glob(filepath.Join(here, ".back.tar.gz.*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}

	cutOff()
	var p atPhase
	p.counts = func() { // meanwhile
		_, err := lifeboat.Pull(t.Context(), source, target, lifeboat.Options{})
		require.ErrorContains(t, err, "is being pulled by another run")
	}
	pulled, err := lifeboat.Pull(t.Context(), source, target, lifeboat.Options{Observer: p.observer()})
	require.NoError(t, err)
	require.Equal(t, &lifeboat.Pulled{File: target, Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Signed: true}, pulled)
	require.Equal(t, []string{fmt.Sprintf("going on after %d of %d bytes", 1<<20, len(data))}, p.notes)
	same(data)
	_, err = lifeboat.Pull(t.Context(), source, target, lifeboat.Options{})
	require.ErrorIs(t, err, fs.ErrExist, "it has its name")
	same(data)

	// Another archive has the name in the place now: nothing of the first is in it.
	require.NoError(t, os.Remove(target))
	cutOff()
	other := bytesOf(2, 2<<20)
	writeFile(t, source, other)
	_, err = lifeboat.Pull(t.Context(), source, target, lifeboat.Options{})
	require.NoError(t, err)
	have, err := os.ReadFile(target)
	require.NoError(t, err)
	require.True(t, bytes.Equal(other, have))

	// A signature that is another's stays where it is.
	require.NoError(t, os.Remove(target))
	writeFile(t, source+lifeboat.SignatureSuffix, []byte("another"))
	_, err = lifeboat.Pull(t.Context(), source, target, lifeboat.Options{})
	require.ErrorIs(t, err, fs.ErrExist)
	require.NoFileExists(t, target)
	_, err = lifeboat.Pull(t.Context(), filepath.Join(place, "none.tar.gz"), target, lifeboat.Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}
