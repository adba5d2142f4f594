package place

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/shard"
)

// Sample says how many of a place's archives are looked at in one run. The zero
// value is all of them.
type Sample struct {
	Count   int // so many, or
	Percent int // so many in a hundred
}

// ParseSample reads 20 or 5%.
func ParseSample(text string) (Sample, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || percent && n > 100 {
		return Sample{}, fmt.Errorf("reading sample %q: a number of archives, or 1%% to 100%%", text)
	}
	if percent {
		return Sample{Percent: n}, nil
	}
	return Sample{Count: n}, nil
}

// All reports whether nothing is left out.
func (s Sample) All() bool { return s == Sample{} || s.Percent == 100 }

// Choose gives those of names that have their turn in the run with this seed;
// at least one. Runs with consecutive seeds go round: of P%, every name comes up
// in any 100/P of them (rounded up), whatever comes and goes beside it; of a
// count, once in as many as it takes, while the names stay the same.
func (s Sample) Choose(names []string, seed uint64) map[string]bool {
	chosen := map[string]bool{}
	switch {
	case len(names) == 0:
	case s.All() || s.Count >= len(names):
		for _, name := range names {
			chosen[name] = true
		}
	case s.Percent > 0:
		rounds := uint64((100 + s.Percent - 1) / s.Percent)
		for _, name := range names {
			if (shard.Hash(name)+seed)%rounds == 0 {
				chosen[name] = true
			}
		}
		if len(chosen) == 0 { // of a few names none may have its turn
			chosen[byHash(names)[seed%uint64(len(names))]] = true
		}
	default:
		ring, start := byHash(names), seed%uint64(len(names))*uint64(s.Count)
		for i := range uint64(s.Count) {
			chosen[ring[(start+i)%uint64(len(ring))]] = true
		}
	}
	return chosen
}

// byHash is an order that has nothing to do with times or clusters.
func byHash(names []string) []string {
	ring := slices.Clone(names)
	slices.SortFunc(ring, func(a, b string) int {
		return cmp.Or(cmp.Compare(shard.Hash(a), shard.Hash(b)), strings.Compare(a, b))
	})
	return ring
}
