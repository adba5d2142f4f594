package place_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// nights are the times of nightly archives, each up to an hour late.
func nights(t *rapid.T, n int) []time.Time {
	late := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	times := make([]time.Time, n)
	for i := range times {
		times[i] = time.Date(2026, 1, 1+i, 2, 0, late.IntN(3600), 0, time.UTC)
	}
	return times
}

// Every night without an archive is in a gap that says from when to when, and
// how many nights it is; no other time is one.
func TestGaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := nights(t, rapid.IntRange(20, 60).Draw(t, "nights"))
		var there []time.Time
		var want []place.Gap
		good := 0 // nights since the last gap: two tell that the pace was the same before it
		for i := 0; i < len(times); i++ {
			there = append(there, times[i])
			good++
			missing := rapid.IntRange(0, 5).Draw(t, "missing")
			if good > 2 && i > 3 && i+missing+1 < len(times)-3 && missing > 0 {
				want = append(want, place.Gap{From: times[i], To: times[i+missing+1], Missing: missing})
				i, good = i+missing, 0
			}
		}
		slices.Reverse(there)
		every, gaps := place.Gaps(append(there, there...)) // each of them in two places
		require.Equal(t, want, gaps, fmt.Sprint(there))
		require.InDelta(t, 24, every.Hours(), 1.1)
	})
}

// What prune has thinned out is no gap.
func TestThinnedIsNoGap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := place.Policy{
			Daily: rapid.IntRange(5, 14).Draw(t, "daily"), Weekly: rapid.IntRange(0, 8).Draw(t, "weekly"), Monthly: rapid.IntRange(0, 12).Draw(t, "monthly"),
		}
		kept := []place.Facts{}
		for i, at := range nights(t, rapid.IntRange(10, 150).Draw(t, "nights")) {
			kept = append(kept, place.Facts{Cluster: "c", Revision: int64(i + 1), Time: at})
			if i%7 != 0 { // not pruned every night
				continue
			}
			var left []place.Facts
			for _, d := range policy.Apply(kept) {
				if d.Keep() {
					left = append(left, d.Facts)
				}
			}
			kept = left
		}
		var times []time.Time
		for _, f := range kept {
			times = append(times, f.Time)
		}
		_, gaps := place.Gaps(times)
		require.Empty(t, gaps, fmt.Sprint(times))
	})
}

// Of a few archives nobody knows what is usual; of nights that fail every other
// time it is seen all the same; an archive made by hand in between changes nothing.
func TestPace(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	every, gaps := place.Gaps([]time.Time{day(1), day(2), day(9)})
	require.Zero(t, every)
	require.Empty(t, gaps)
	_, gaps = place.Gaps(nil)
	require.Empty(t, gaps)
	every, gaps = place.Gaps([]time.Time{day(1), day(2), day(3), day(5), day(6), day(8), day(9), day(11)})
	require.Equal(t, 24*time.Hour, every)
	require.Equal(t, []place.Gap{{day(3), day(5), 1}, {day(6), day(8), 1}, {day(9), day(11), 1}}, gaps)
	every, gaps = place.Gaps([]time.Time{day(1), day(2), day(3), day(4), day(4).Add(time.Hour), day(5), day(8)})
	require.Equal(t, 24*time.Hour, every)
	require.Equal(t, []place.Gap{{day(5), day(8), 2}}, gaps)
}
