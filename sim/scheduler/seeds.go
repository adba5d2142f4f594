package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseSeeds reads a range A..B, or one seed N; at most 10000.
func ParseSeeds(text string) ([]uint64, error) {
	from, to, isRange := strings.Cut(text, "..")
	first, err := strconv.ParseUint(from, 10, 64)
	last := first
	if err == nil && isRange {
		last, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || last < first || last-first >= 10_000 {
		return nil, fmt.Errorf("--seeds %q is not a range like 1..50 (at most 10000)", text)
	}
	seeds := make([]uint64, 0, last-first+1)
	for seed := first; ; seed++ {
		seeds = append(seeds, seed)
		if seed == last {
			return slices.Clip(seeds), nil
		}
	}
}
