package snapshot_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestOpenFileWithoutName: a memfd and an unlinked file are read like any
// other, and belong to the DB.
func TestOpenFileWithoutName(t *testing.T) {
	t.Parallel()
	source := harbour(t)
	fd, err := unix.MemfdCreate("spool", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	memory := os.NewFile(uintptr(fd), "spool")
	_, err = memory.Write(mustRead(t, source))
	require.NoError(t, err)
	unlinked, err := os.Open(source)
	require.NoError(t, err)
	require.NoError(t, os.Remove(source))

	for _, f := range []*os.File{memory, unlinked} {
		db, err := snapshot.OpenFile(t.Context(), f)
		require.NoError(t, err)
		require.Len(t, keys(t, db, 0), 621)
		require.NoError(t, readAll(t, db))
		require.NoError(t, db.Close())
		require.ErrorIs(t, f.Close(), os.ErrClosed)
	}
}

// TestOpenFileClosesWhatItRefuses: no descriptor is left, and an empty memfd is
// not made a database.
func TestOpenFileClosesWhatItRefuses(t *testing.T) {
	t.Parallel()
	fd, err := unix.MemfdCreate("empty", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	again, err := unix.Dup(fd)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "empty")
	_, err = snapshot.OpenFile(t.Context(), f)
	require.ErrorIs(t, err, snapshot.ErrNotDatabase)
	require.ErrorIs(t, f.Close(), os.ErrClosed)

	rest := os.NewFile(uintptr(again), "empty")
	defer rest.Close()
	info, err := rest.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}
