package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// writtenTo is a file whose owner writes while its pages are read for the first
// time.
type writtenTo struct {
	*os.File
	write func()
}

func (w *writtenTo) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > pageHeaderSize+metaSize && w.write != nil {
		w.write()
		w.write = nil
	}
	return w.File.ReadAt(p, off)
}

// A copy that its owner wrote to meanwhile is begun anew: pages of the old state may
// be in use for others by now.
func TestNestedCopyIsOfOneState(t *testing.T) {
	t.Parallel()
	owner, err := bolt.Open(filepath.Join(t.TempDir(), "meta.db"), 0o600, &bolt.Options{PageSize: 4096})
	require.NoError(t, err)
	defer owner.Close()
	put := func(value string) {
		require.NoError(t, owner.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("v1"))
			require.NoError(t, err)
			return b.Put([]byte("k"), []byte(value))
		}))
	}
	put("before")
	f, err := os.Open(owner.Path())
	require.NoError(t, err)
	defer f.Close()
	data, m, err := copyNested(context.Background(), &writtenTo{f, func() { put("meanwhile"); put("last") }})
	require.NoError(t, err)
	require.NoError(t, owner.View(func(tx *bolt.Tx) error {
		require.Equal(t, uint64(tx.ID()), m.txid, "the state that was copied is the one that the file holds")
		return nil
	}))
	value := ""
	s := newStructure(context.Background(), data, m)
	require.NoError(t, s.nested(m.root, nil, func(_ []string, _, v []byte) error {
		value = string(v)
		return nil
	}))
	require.Equal(t, "last", value)
}
