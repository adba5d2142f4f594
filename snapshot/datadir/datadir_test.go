package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func TestTailOfKilledMember(t *testing.T) {
	t.Parallel()
	d := open(t, harbour(t)["etcd-1"])
	tail, err := d.Tail(t.Context(), 1611)
	require.NoError(t, err)
	require.Equal(t, datadir.Tail{Entries: 1, LastIndex: 1612, LastTerm: 2, Commit: 1611}, tail)

	flip(t, d, 200_000)
	tail, err = d.Tail(t.Context(), 1611)
	require.NoError(t, err)
	require.Zero(t, tail.Entries)
	require.Contains(t, tail.Damage, "after entry", "what followed is unknown, also where the database has more")
	require.Less(t, tail.LastIndex, uint64(1612))
}

// What etcd leaves beside the segments of a log is no part of it.
func TestSegmentsOfALog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"0000000000000001-0000000000000009.wal", "0000000000000000-0000000000000000.wal",
		"0000000000000002-0000000000000020.wal.broken", "0.tmp", "2-20.wal", "0000000000000002.wal", "note",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "0000000000000002-0000000000000020.wal"), 0o700))
	log, err := datadir.LogAt(dir).Log(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, log.Segments)
	require.Empty(t, log.End)
}

// flip changes one byte of the first segment of the log.
func flip(t testing.TB, d *datadir.Dir, offset int) {
	t.Helper()
	log := filepath.Join(d.WAL(), "0000000000000000-0000000000000000.wal")
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	data[offset] ^= 1
	require.NoError(t, os.WriteFile(log, data, 0o600))
}

func TestOpenFindsTheDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := datadir.Open(dir)
	require.ErrorIs(t, err, datadir.ErrNotDataDir)
	snap := filepath.Join(dir, "member", "snap")
	require.NoError(t, os.MkdirAll(snap, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(snap, "db"), nil, 0o600))
	for _, path := range []string{dir, filepath.Join(dir, "member"), snap} {
		require.Equal(t, dir, open(t, path).Path)
	}
	tail, err := open(t, dir).Tail(t.Context(), 7)
	require.NoError(t, err)
	require.Zero(t, tail, "a dir without a log")
}
