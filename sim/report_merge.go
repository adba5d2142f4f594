package sim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrMerge says that reports are not the shards of one run.
var ErrMerge = errors.New("these are not all shards of one run")

// Merge puts the reports of all shards together. The result is, byte for byte, what
// one run over all seeds would have reported.
func Merge(parts []*Report) (*Report, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: there are none", ErrMerge)
	}
	first := parts[0]
	seen := map[int]bool{}
	for _, p := range parts {
		switch {
		case p.Part == nil:
			return nil, fmt.Errorf("%w: one of %s is of all seeds", ErrMerge, p.Scenario.Name)
		case p.Scenario.Name != first.Scenario.Name || p.Scenario.Digest != first.Scenario.Digest || p.Engine != first.Engine:
			return nil, fmt.Errorf("%w: %s and %s are two drills, or two versions of one", ErrMerge, first.Scenario.Name, p.Scenario.Name)
		case !maps.Equal(p.Versions, first.Versions):
			return nil, fmt.Errorf("%w: %s was run with different versions: %v and %v", ErrMerge, p.Scenario.Name, first.Versions, p.Versions)
		case p.Part.Of != first.Part.Of || p.Part.Seeds != first.Part.Seeds || !sameSearch(p.Search, first.Search):
			return nil, fmt.Errorf("%w: %s was split in two ways", ErrMerge, p.Scenario.Name)
		case seen[p.Part.Shard]:
			return nil, fmt.Errorf("%w: shard %d/%d of %s is there twice", ErrMerge, p.Part.Shard, p.Part.Of, p.Scenario.Name)
		}
		seen[p.Part.Shard] = true
	}
	for i := range first.Part.Of {
		if !seen[i] {
			return nil, fmt.Errorf("%w: shard %d/%d of %s is missing", ErrMerge, i, first.Part.Of, first.Scenario.Name)
		}
	}
	return merged(parts), nil
}

func sameSearch(a, b *Search) bool { return a == b || a != nil && b != nil && *a == *b }

func merged(parts []*Report) *Report {
	whole := *parts[0]
	whole.Part, whole.Seeds, whole.RPO, whole.Reason = nil, nil, nil, ""
	for _, p := range parts {
		whole.Seeds = append(whole.Seeds, p.Seeds...)
	}
	slices.SortFunc(whole.Seeds, func(a, b SeedResult) int { return cmp.Compare(a.Seed, b.Seed) })
	if whole.Search != nil { // which ends at the first seed that is not met
		if i := slices.IndexFunc(whole.Seeds, func(s SeedResult) bool { return s.Verdict != Met }); i >= 0 {
			whole.Seeds = whole.Seeds[:i+1]
		}
	}
	shown := whole.Seeds[whole.sumUp()].Seed
	for _, p := range parts {
		if p.Run.Seed == shown {
			whole.Run, whole.Replay, whole.Shrunk = p.Run, p.Replay, p.Shrunk
		}
	}
	return &whole
}
