package snapshot_test

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// TestCostOfWhatDoesNotMatch: a pass that hands out nothing allocates the same
// whether the file holds few keys or many, and whether values are small or
// large. Not parallel: it counts the process's allocations.
func TestCostOfWhatDoesNotMatch(t *testing.T) {
	none := func([]byte) bool { return false }
	pass := func(db *snapshot.DB) float64 {
		return testing.AllocsPerRun(5, func() {
			for _, err := range db.At(t.Context(), 0, none) {
				t.Error("something matched", err)
			}
		})
	}
	few, many := pass(open(t, generate(t, 100))), pass(open(t, generate(t, 4000)))
	require.InDelta(t, few, many, 4, "of the cursor's stack, a level or two")
	require.Less(t, many, 40.0)
}

// TestValuesAreNotCopied: a pass over all keys allocates an entry per key, and
// what it yields is the file's own memory: the same at every pass.
func TestValuesAreNotCopied(t *testing.T) {
	db := open(t, generate(t, 4000))
	addresses := func() (all []*byte) {
		all = make([]*byte, 0, 4000)
		for kv, err := range db.At(t.Context(), 0, nil) {
			require.NoError(t, err)
			all = append(all, unsafe.SliceData(kv.Value))
		}
		return all
	}
	first := addresses()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	second := addresses()
	runtime.ReadMemStats(&after)
	require.Equal(t, first, second)
	require.Len(t, first, 4000)
	perKey := (after.TotalAlloc - before.TotalAlloc) / 4000
	require.Less(t, perKey, uint64(400), "values have about 2000 bytes")
}
