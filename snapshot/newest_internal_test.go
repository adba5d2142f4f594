package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// records lays out elements as a leaf page has them, each with its key and value
// behind it.
func records(t *testing.T, names []string, deleted bool) (data []byte, all []stored) {
	t.Helper()
	var at []int64
	for i, name := range names {
		key := appendRevision(nil, int64(i+1), 0)
		if deleted {
			key = append(key, 't')
		}
		value := append([]byte{keyTag, byte(len(name))}, name...)
		element := make([]byte, elementSize)
		binary.NativeEndian.PutUint32(element[4:], elementSize)
		binary.NativeEndian.PutUint32(element[8:], uint32(len(key)))
		binary.NativeEndian.PutUint32(element[12:], uint32(len(value)))
		at = append(at, int64(len(data)))
		data = append(append(append(data, element...), key...), value...)
	}
	for _, offset := range at {
		r, err := storedAt(data, offset)
		require.NoError(t, err)
		all = append(all, r)
	}
	return data, all
}

// likeNames are two names of which a table of so many slots holds the same: where
// they begin, and their tag.
func likeNames(n *newest) (a, b string) {
	seen := map[[2]uint64]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("/registry/pods/shop/web-%d", i)
		slot, tag := n.slot([]byte(name))
		if other, ok := seen[[2]uint64{slot, tag}]; ok {
			return other, name
		}
		seen[[2]uint64{slot, tag}] = name
	}
}

// A tag of 16 bits is not an identity: among many keys some share theirs, and each of
// them is alive.
func TestKeysOfOneTag(t *testing.T) {
	t.Parallel()
	n := &newest{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, 7)}
	a, b := likeNames(n)
	var all []stored
	n.data, all = records(t, []string{a, b, a}, false)
	for i, name := range []string{a, b, a} {
		slot, tag := n.slot([]byte(name))
		require.NoError(t, n.enter(all[i], []byte(name), slot, tag))
	}
	require.EqualValues(t, 2, n.alive())
	require.False(t, n.is(all[0], []byte(a)), "a newer record took its place")
	require.True(t, n.is(all[1], []byte(b)))
	require.True(t, n.is(all[2], []byte(a)))

	// In whatever order they come, the newest stays.
	slot, tag := n.slot([]byte(a))
	require.NoError(t, n.enter(all[0], []byte(a), slot, tag))
	require.True(t, n.is(all[2], []byte(a)))

	dead := &newest{seed: n.seed, slots: make([]atomic.Uint64, 7)}
	dead.data, all = records(t, []string{a}, true)
	require.NoError(t, dead.enter(all[0], []byte(a), slot, tag))
	require.Zero(t, dead.alive(), "a tombstone")
}
