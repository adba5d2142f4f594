package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// A database that opens, but that etcd cannot use: its row says so, and another
// dir is recommended.
func TestCompareUnusable(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, unpackMembers("../../testdata/harbour", root, "etcd-0", "etcd-1"))
	broken, whole := filepath.Join(root, "etcd-0"), filepath.Join(root, "etcd-1")
	breakFreelist(t, filepath.Join(broken, "member", "snap", "db"))
	r := lifeboat("etcd", "compare", broken, whole)
	require.Equal(t, console.ExitDamaged, r.code, r.stderr)
	require.Contains(t, r.stdout, "build from "+whole, r.stderr)
	require.NotContains(t, r.stdout, "no dir can be read")
	require.Contains(t, r.stdout, "2 of 3 voters are at hand, a majority", "its log is whole, and goes no further")
}

// breakFreelist has bbolt write a freelist and damages it.
func breakFreelist(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("x"), nil) }))
	size := db.Info().PageSize
	require.NoError(t, db.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	// A meta page: 16 bytes of header, then magic, version, page size and flags,
	// the root bucket, and at 32 the freelist; at 48 the transaction.
	meta := data[16:]
	if other := data[size+16:]; binary.NativeEndian.Uint64(other[48:]) > binary.NativeEndian.Uint64(meta[48:]) {
		meta = other
	}
	data[int(binary.NativeEndian.Uint64(meta[32:]))*size+8] ^= 0xff // its flags
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
