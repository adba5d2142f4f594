package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestBeyond: a copy is held against what it was made from, by every byte of
// every record, and what it has beyond is told.
func TestBeyond(t *testing.T) {
	t.Parallel()
	source := generate(t, 3000)
	base := open(t, source)
	newest := base.Revision()
	revision := func(main int64) []byte {
		key := make([]byte, 17)
		for i := range 8 {
			key[i] = byte(main >> (56 - 8*i))
		}
		key[8] = '_'
		return key
	}
	for name, c := range map[string]struct {
		change  func(t *testing.T, tx *bolt.Tx)
		damaged string
		more    []int64
		buckets []string
	}{
		"nothing": {change: func(*testing.T, *bolt.Tx) {}},
		"one byte of a value": {change: func(t *testing.T, tx *bolt.Tx) {
			value := append([]byte(nil), tx.Bucket([]byte("key")).Get(revision(1000))...)
			value[len(value)-1] ^= 1
			require.NoError(t, tx.Bucket([]byte("key")).Put(revision(1000), value))
		}, damaged: "the record of revision 1000.0 is not what it was"},
		"a record is missing": {change: func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket([]byte("key")).Delete(revision(500)))
		}, damaged: "the record of revision 500.0 is not what it was"},
		"the newest record is missing": {change: func(t *testing.T, tx *bolt.Tx) {
			keys := tx.Bucket([]byte("key"))
			last, _ := keys.Cursor().Last()
			require.NoError(t, keys.Delete(last))
		}, damaged: "is not what it was"},
		"a record is new": {change: func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket([]byte("key")).Put(revision(newest+7), nil))
		}, more: []int64{newest + 7}},
		"buckets": {change: func(t *testing.T, tx *bolt.Tx) {
			require.NoError(t, tx.Bucket([]byte("lease")).Put([]byte("12345678"), []byte("x")))
			require.NoError(t, tx.DeleteBucket([]byte("auth")))
			_, err := tx.CreateBucket([]byte("new"))
			require.NoError(t, err)
		}, buckets: []string{"auth", "lease", "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(source)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "copy")
			require.NoError(t, os.WriteFile(path, data[:len(data)-snapshot.TrailerSize], 0o600))
			writable, err := bolt.Open(path, 0, &bolt.Options{NoFreelistSync: true})
			require.NoError(t, err)
			require.NoError(t, writable.Update(func(tx *bolt.Tx) error {
				c.change(t, tx)
				return nil
			}))
			require.NoError(t, writable.Close())

			db := open(t, path)
			more, err := db.Beyond(t.Context(), base)
			if c.damaged != "" {
				require.ErrorIs(t, err, snapshot.ErrDamaged)
				require.ErrorContains(t, err, c.damaged)
				return
			}
			require.NoError(t, err)
			var revisions []int64
			for _, r := range more {
				revisions = append(revisions, r.Main)
			}
			require.Equal(t, c.more, revisions)
			buckets, err := db.DifferentBuckets(base)
			require.NoError(t, err)
			require.ElementsMatch(t, c.buckets, buckets)
		})
	}
}

// Of two files the one that shrinks while they are compared is damaged, with a place
// in it: the fault is in one's memory, and both are watched.
func TestCutShortWhileCompared(t *testing.T) {
	t.Parallel()
	path := generate(t, 600)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, cut := range []string{"copy", "base"} {
		files := map[string]string{"copy": write(t, data), "base": write(t, data)}
		db, base := open(t, files["copy"]), open(t, files["base"])
		require.NoError(t, os.Truncate(files[cut], 2*4096))
		_, err := db.Beyond(t.Context(), base)
		var at *snapshot.DamagedError
		require.ErrorAs(t, err, &at, cut)
		require.ErrorContains(t, err, "the file ended or its disk failed")
		require.GreaterOrEqual(t, at.Offset, int64(2*4096), cut)
		require.Less(t, at.Offset, int64(len(data)), cut)
		require.Equal(t, at.Offset/4096, at.Page, cut)
	}
}
