package filelock

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	require.NoError(t, Probe(second))
	require.NoError(t, Take(first), "who only looked holds nothing")
	require.ErrorIs(t, Take(second), ErrHeld)
	require.ErrorIs(t, Probe(second), ErrHeld)
	require.NoError(t, Release(first))
	require.NoError(t, Take(second))
}

// A program that is being started has a copy of the open file: the lock is free
// all the same once it was released, and not when its file was only closed.
func TestReleasedWhileAProgramStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	require.NoError(t, Take(first))
	inherited, err := syscall.Dup(int(first.Fd()))
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(inherited)) }()
	require.NoError(t, Release(first))
	require.NoError(t, Take(second))
}
