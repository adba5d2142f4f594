package datadir

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// member unpacks one of harbour's members, killed with SIGKILL. The log is
// preallocated: only its beginning is written.
func member(t *testing.T, name string) string {
	t.Helper()
	packed, err := os.Open("../../testdata/harbour/members.tar.gz")
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	dir := t.TempDir()
	const written = 20 << 20
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, name)
		}
		require.NoError(t, err)
		if !strings.HasPrefix(h.Name, name+"/") || h.FileInfo().IsDir() || strings.HasSuffix(h.Name, ".tmp") {
			continue
		}
		path := filepath.Join(dir, h.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		f, err := os.Create(path)
		require.NoError(t, err)
		_, err = io.CopyN(f, r, min(h.Size, written))
		require.NoError(t, err)
		require.NoError(t, f.Truncate(h.Size))
		require.NoError(t, f.Close())
	}
}

func TestTailOfKilledMember(t *testing.T) {
	t.Parallel()
	d, err := Open(member(t, "etcd-1"))
	require.NoError(t, err)
	tail, err := d.Tail(t.Context(), 1611)
	require.NoError(t, err)
	require.Equal(t, Tail{Entries: 1, LastIndex: 1612, LastTerm: 2, Commit: 1611}, tail)

	log := filepath.Join(d.WAL(), "0000000000000000-0000000000000000.wal")
	data, err := os.ReadFile(log)
	require.NoError(t, err)
	data[200_000] ^= 1
	require.NoError(t, os.WriteFile(log, data, 0o600))
	tail, err = d.Tail(t.Context(), 1611)
	require.NoError(t, err)
	require.Contains(t, tail.Damage, "after entry")
	require.Less(t, tail.LastIndex, uint64(1612))
}

func TestOpenFindsTheDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrNotDataDir)
	snap := filepath.Join(dir, "member", "snap")
	require.NoError(t, os.MkdirAll(snap, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(snap, "db"), nil, 0o600))
	for _, path := range []string{dir, filepath.Join(dir, "member"), snap} {
		d, err := Open(path)
		require.NoError(t, err)
		require.Equal(t, dir, d.Path)
	}
	tail, err := (&Dir{Path: dir}).Tail(t.Context(), 7)
	require.NoError(t, err)
	require.Zero(t, tail, "a dir without a log")
}
