package datadir

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// A database that is written anew is one to bbolt: the same buckets, a tree that
// its check finds nothing wrong with, no page free; and it can be written to.
func TestRewrite(whole *testing.T) {
	whole.Parallel()
	rapid.Check(whole, func(t *rapid.T) {
		dir := whole.TempDir()
		pageSize := rapid.SampledFrom([]int{1024, 4096, 16384}).Draw(t, "page size")
		open := func(name string) *bolt.DB {
			db, err := bolt.Open(filepath.Join(dir, name), 0o600, &bolt.Options{PageSize: pageSize, NoSync: true, NoFreelistSync: true})
			require.NoError(t, err)
			return db
		}
		src := open("from")
		defer src.Close()
		buckets := rapid.IntRange(0, 12).Draw(t, "buckets")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for n := range buckets {
			keys := rapid.SampledFrom([]int{0, 1, 2, 50, 3000}).Draw(t, "keys")
			if n > 3 {
				keys = min(keys, 2)
			}
			length := rapid.SampledFrom([]int{0, 1, 30, pageSize/2 - 40, pageSize - 50, 3 * pageSize}).Draw(t, "length")
			wide := rapid.SampledFrom([]int{0, 0, 0, pageSize / 3, pageSize}).Draw(t, "length of a key")
			if wide > 0 || length > 100 {
				keys = min(keys, 50)
			}
			require.NoError(t, src.Update(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucket(fmt.Appendf(nil, "bucket %d", n))
				require.NoError(t, err)
				require.NoError(t, b.SetSequence(uint64(n)))
				for k := range keys {
					key := fmt.Appendf(nil, "%08d%s", k*7919%100003, bytes.Repeat([]byte{'w'}, wide))
					require.NoError(t, b.Put(key, bytes.Repeat([]byte{byte(k)}, r.IntN(length+1))))
				}
				return nil
			}))
		}
		to := filepath.Join(dir, "to")
		out, err := os.Create(to)
		require.NoError(t, err)
		require.NoError(t, src.View(func(tx *bolt.Tx) error { return rewrite(out, tx) }))
		require.NoError(t, out.Close())
		info, err := os.Stat(to)
		require.NoError(t, err)
		require.Zero(t, info.Size()%int64(pageSize))

		dst := open("to")
		defer dst.Close()
		require.Equal(t, pageSize, dst.Info().PageSize)
		require.Zero(t, dst.Stats().FreePageN)
		require.Equal(t, dump(t, src), dump(t, dst))
		require.NoError(t, dst.Update(func(tx *bolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
				c := b.Cursor()
				for k, _ := c.First(); k != nil; k, _ = c.Next() {
					require.NoError(t, c.Delete())
				}
				return b.Put([]byte("new"), make([]byte, 2*pageSize))
			})
		}))
		dump(t, dst)
		require.NoError(t, os.RemoveAll(dir))
	})
}

// A disk that is full, and a bucket in a bucket, which etcd never writes, are
// errors and no smaller database.
func TestRewriteRefuses(t *testing.T) {
	t.Parallel()
	from := filepath.Join(t.TempDir(), "db")
	src, err := bolt.Open(from, 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	defer src.Close()
	for _, size := range []int{10, 3 << 20} { // as the pages are flushed, and before
		require.NoError(t, src.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("meta"))
			require.NoError(t, err)
			return b.Put([]byte("key"), make([]byte, size))
		}))
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("there is no /dev/full here")
		}
		require.ErrorIs(t, src.View(func(tx *bolt.Tx) error { return rewrite(full, tx) }), syscall.ENOSPC, size)
		require.NoError(t, full.Close())
	}
	require.NoError(t, src.Update(func(tx *bolt.Tx) error {
		_, err := tx.Bucket([]byte("meta")).CreateBucket([]byte("inner"))
		return err
	}))
	out, err := os.Create(filepath.Join(t.TempDir(), "to"))
	require.NoError(t, err)
	defer out.Close()
	require.ErrorContains(t, src.View(func(tx *bolt.Tx) error { return rewrite(out, tx) }), `bucket "inner" in bucket "meta"`)
	require.NoError(t, src.Close())
	require.ErrorContains(t, makeMiniature(filepath.Join(t.TempDir(), "mini"), from, 0), `bucket "inner" in bucket "meta"`)
}

// dump is what a database holds, which bbolt has checked.
func dump(t *rapid.T, db *bolt.DB) (lines []string) {
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			require.NoError(t, err)
		}
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			lines = append(lines, fmt.Sprintf("%s %d", name, b.Sequence()))
			return b.ForEach(func(k, v []byte) error {
				lines = append(lines, fmt.Sprintf("%q %q", k, v))
				return nil
			})
		})
	}))
	return lines
}
