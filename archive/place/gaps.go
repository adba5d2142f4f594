package place

import (
	"slices"
	"time"
)

// Gap is a time without an archive, between two that are there.
type Gap struct {
	From    time.Time `json:"from"`    // of the archive before it
	To      time.Time `json:"to"`      // of the one after it
	Missing int       `json:"missing"` // archives that are not there, at the pace of the newest
}

// Of the newest intervals between archives, how many say what the pace is; and of
// those before a gap, how many of how many have it.
const (
	paceOf     = 6
	beforeOf   = 3
	beforeHave = 2
)

// Gaps finds where the archives of one cluster, made at times, miss some: every is
// the pace of the newest, and a gap is more than half again as long. Before it the
// pace has to be the same: a night without an archive is a gap, and the weeks and
// months that prune has thinned out are none. Gaps are in the order of time. Of
// fewer than four archives no pace is known: every is 0.
func Gaps(times []time.Time) (every time.Duration, gaps []Gap) {
	times = slices.Clone(times)
	slices.SortFunc(times, time.Time.Compare)
	times = slices.CompactFunc(times, time.Time.Equal) // copies
	intervals := make([]time.Duration, max(0, len(times)-1))
	for i := range intervals {
		intervals[i] = times[i+1].Sub(times[i])
	}
	if len(intervals) < beforeOf {
		return 0, nil
	}
	// The third part, and not the half: of nights half of which fail, too.
	newest := slices.Sorted(slices.Values(intervals[max(0, len(intervals)-paceOf):]))
	every = newest[len(newest)/3]
	long := func(interval time.Duration) bool { return interval > every+every/2 }
	for i, interval := range intervals {
		before := slices.DeleteFunc(slices.Clone(intervals[max(0, i-beforeOf):i]), long)
		if long(interval) && len(before) >= beforeHave {
			missing := int((interval+every/2)/every) - 1
			gaps = append(gaps, Gap{times[i], times[i+1], max(1, missing)})
		}
	}
	return every, gaps
}
