package snapshot_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// nestedDB writes buckets within buckets with bbolt itself: small ones, which
// stand inline, and one of many pages.
func nestedDB(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 4096, NoSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		top, err := tx.CreateBucket([]byte("v1"))
		require.NoError(t, err)
		require.NoError(t, top.Put([]byte("version"), []byte{6}))
		for _, name := range []string{"a", "b"} {
			inner, err := top.CreateBucket([]byte(name))
			require.NoError(t, err)
			many, err := inner.CreateBucket([]byte("many"))
			require.NoError(t, err)
			for n := range 2000 {
				require.NoError(t, many.Put(fmt.Appendf(nil, "%05d", n), []byte(strings.Repeat("x", 40))))
			}
			few, err := inner.CreateBucket([]byte("few"))
			require.NoError(t, err)
			require.NoError(t, few.Put([]byte("k"), []byte("v")))
		}
		return nil
	}))
	require.NoError(t, db.Close())
	return path
}

func readNested(t testing.TB, path string) (map[string]string, error) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	found := map[string]string{}
	err = snapshot.ReadNested(context.Background(), f, func(buckets []string, key, value []byte) error {
		found[strings.Join(buckets, "/")+"/"+string(key)] = string(value)
		return nil
	})
	return found, err
}

// All that bbolt wrote is found, also while its owner holds the lock and writes.
func TestReadNested(t *testing.T) {
	t.Parallel()
	path := nestedDB(t)
	found, err := readNested(t, path)
	require.NoError(t, err)
	require.Len(t, found, 1+2*(2000+1))
	require.Equal(t, "\x06", found["v1/version"])
	require.Equal(t, "v", found["v1/b/few/k"])
	require.Len(t, found["v1/a/many/01999"], 40)

	owner, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	defer owner.Close()
	// Each transaction changes both places: a copy of one state has them alike.
	put := func(n uint64) {
		require.NoError(t, owner.Update(func(tx *bolt.Tx) error {
			value := binary.BigEndian.AppendUint64(nil, n)
			for _, name := range []string{"a", "b"} {
				require.NoError(t, tx.Bucket([]byte("v1")).Bucket([]byte(name)).Bucket([]byte("few")).Put([]byte("k"), value))
			}
			return nil
		}))
	}
	put(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
				put(n)
			}
		}
	}()
	whole := 0
	for range 50 {
		found, err := readNested(t, path)
		if err != nil {
			require.ErrorIs(t, err, snapshot.ErrBusy)
			continue
		}
		whole++
		require.Equal(t, found["v1/a/few/k"], found["v1/b/few/k"])
	}
	close(stop)
	<-stopped
	found, err = readNested(t, path)
	require.NoError(t, err)
	require.Len(t, found, 1+2*(2000+1))
	t.Logf("%d of 50 copies were whole while the owner wrote", whole)
}

// A bucket that leads to itself, a page of another kind, an end too soon: each is
// an error, and none hangs.
func TestReadNestedDamaged(t *testing.T) {
	t.Parallel()
	path := nestedDB(t)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	broken := filepath.Join(t.TempDir(), "broken.db")
	faults := 0
	for at := 8192; at < len(data); at += 997 {
		bad := append([]byte{}, data...)
		bad[at] ^= 0x04
		require.NoError(t, os.WriteFile(broken, bad, 0o600))
		if _, err := readNested(t, broken); err != nil {
			require.ErrorIs(t, err, snapshot.ErrDamaged)
			faults++
		}
	}
	require.Positive(t, faults)
	require.NoError(t, os.WriteFile(broken, data[:len(data)/2], 0o600))
	_, err = readNested(t, broken)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.NoError(t, os.WriteFile(broken, []byte("no database, but a text that is long enough to be looked at as one, with a meta page at its beginning"), 0o600))
	_, err = readNested(t, broken)
	require.ErrorIs(t, err, snapshot.ErrNotDatabase)
}

// An element that is neither a value nor a bucket: nobody knows what it is.
func TestReadNestedOfAnotherKind(t *testing.T) {
	t.Parallel()
	path := nestedDB(t)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	const pageSize, leaf, header, element, bucket = 4096, 2, 16, 16, 1
	changed := 0
	for page := 0; page < len(data); page += pageSize {
		if binary.NativeEndian.Uint16(data[page+8:]) != leaf {
			continue
		}
		for i := range int(binary.NativeEndian.Uint16(data[page+10:])) {
			if flags := data[page+header+i*element:]; binary.NativeEndian.Uint32(flags) == bucket {
				binary.NativeEndian.PutUint32(flags, bucket|4)
				changed++
			}
		}
	}
	require.Positive(t, changed)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = readNested(t, path)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}

// A small bucket stands in the value of its element: a page of another kind there is
// damage, and not a bucket without content.
func TestReadNestedDamagedInline(t *testing.T) {
	t.Parallel()
	path := nestedDB(t)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	const leaf, branch = "\x02\x00", "\x01\x00"
	inline := "few" + strings.Repeat("\x00", 24) // its bucket's root and sequence, its page's id
	require.Contains(t, string(data), inline+leaf)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), inline+leaf, inline+branch)), 0o600))
	_, err = readNested(t, path)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.ErrorContains(t, err, "inline page of kind 0x1")
}
