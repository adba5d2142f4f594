package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// A full disk, at each of the writing commands: said, and nothing left; what
// was there before is as it was.
func TestArchiveDiskFull(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient)
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, "size=128k")
	old := filepath.Join(dir, "yesterday.age")
	require.NoError(t, os.WriteFile(old, []byte("yesterday's archive"), 0o600))
	out := filepath.Join(dir, "out")
	for name, args := range map[string][]string{
		"create":  {"create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient},
		"unpack":  {"unpack", sealed, "-i", s.identity},
		"encrypt": {"encrypt", sealed, "-r", s.recipient},
		"decrypt": {"decrypt", sealed, "-i", s.identity},
		"rekey":   {"rekey", sealed, "-i", s.identity, "--add", s.recipient},
	} {
		r := lifeboat(append(append([]string{"archive"}, args...), "--to", out)...)
		require.Equal(t, console.ExitFailed, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stderr, "no space left on device", name)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, left, 1, name)
	}
}

// A symbolic link to an archive is the archive; a folder is none; a target on
// a file system that nobody may write to is said to be one.
func TestPlacesAsTheyCome(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sealed := s.create(t, "a.age", "-r", s.recipient)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(sealed, link))
	require.Equal(t, console.ExitDone, lifeboat("archive", "verify", link, "-i", s.identity).code)
	for _, verb := range [][]string{{"list"}, {"unpack", "--to", link + ".out"}, {"decrypt", "--to", link + ".out"}} {
		r := lifeboat(append([]string{"archive", verb[0], s.kubernetes}, verb[1:]...)...)
		require.Equal(t, console.ExitFailed, r.code, r.stderr)
		require.Contains(t, r.stderr, "folder")
	}
	require.NoFileExists(t, link+".out")

	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, syscall.MS_RDONLY, "size=64k")
	for name, args := range map[string][]string{
		"create":  {"create", "--snapshot", s.snapshot, "--kubernetes", s.kubernetes, "-r", s.recipient},
		"unpack":  {"unpack", sealed, "-i", s.identity},
		"encrypt": {"encrypt", sealed, "-r", s.recipient},
		"decrypt": {"decrypt", sealed, "-i", s.identity},
		"rekey":   {"rekey", sealed, "-i", s.identity, "--add", s.recipient},
	} {
		r := lifeboat(append(append([]string{"archive"}, args...), "--to", filepath.Join(dir, "out"))...)
		require.Equal(t, console.ExitFailed, r.code, "%s: %s", name, r.stderr)
		require.Contains(t, r.stderr, "read-only file system", name)
	}
}
