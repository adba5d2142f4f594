package snapshot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// fuzzPageSize keeps the seed small: more of a mutation's bytes matter.
const fuzzPageSize = 1024

// FuzzOpen changes eight bytes of a small database, cuts it, and reads what
// opens. Whatever comes of it, it is a value or an error, soon. The meta
// page's checksum is mended, so that hostile sizes and roots get through.
func FuzzOpen(f *testing.F) {
	seed := smallDatabase(f)
	offsets := interesting(seed)
	for _, at := range offsets {
		for _, to := range []uint64{3, ^uint64(0)} {
			f.Add(uint32(at), to, uint32(len(seed)))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, at uint32, to uint64, size uint32) {
		data := bytes.Clone(seed)
		at %= uint32(len(data) - 8)
		for i := range 8 {
			data[int(at)+i] = byte(to >> (8 * i))
		}
		snapshottest.MendMeta(data, fuzzPageSize)
		path := filepath.Join(dir, "db")
		require.NoError(t, os.WriteFile(path, data[:min(int(size), len(data))], 0o600))
		db, err := snapshot.Open(t.Context(), path)
		if err != nil {
			return
		}
		_ = readAll(t, db)
		require.NoError(t, db.Close())
	})
}

// smallDatabase has every kind of page: a branch, leaves, an overflow page, a
// freelist and inline buckets.
func smallDatabase(f *testing.F) []byte {
	f.Helper()
	source := filepath.Join(f.TempDir(), "source")
	_, err := snapshottest.Generate(source, snapshottest.Spec{Keys: 24})
	require.NoError(f, err)
	path := filepath.Join(f.TempDir(), "small")
	from, err := bolt.Open(source, 0, &bolt.Options{ReadOnly: true})
	require.NoError(f, err)
	to, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: fuzzPageSize, NoSync: true})
	require.NoError(f, err)
	require.NoError(f, bolt.Compact(to, from, 1<<20))
	size := int64(0)
	require.NoError(f, to.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }))
	require.NoError(f, to.Close())
	require.NoError(f, from.Close())
	data, err := os.ReadFile(path)
	require.NoError(f, err)
	return data[:size]
}

// interesting lists offsets of meta pages, page headers and first elements.
func interesting(db []byte) []int {
	var offsets []int
	for page := 0; page < len(db); page += fuzzPageSize {
		for _, field := range []int{0, 8, 12, 16, 24, 32, 56} {
			offsets = append(offsets, page+field)
		}
	}
	return offsets
}
