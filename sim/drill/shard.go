package drill

import (
	"fmt"

	"github.com/lifeboat-dr/lifeboat/internal/shard"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// ErrShard says that a drill cannot be split that way.
var ErrShard = shard.Err

// Shard is one of Of equal parts of the seeds, counted from 0: every Of-th seed,
// beginning with the Index-th. The zero value is all seeds.
type Shard = shard.Shard

// ParseShard reads "0/4".
func ParseShard(text string) (Shard, error) { return shard.Parse(text) }

// seedsOf are the shard's seeds. A shard without any would prove nothing.
func seedsOf(s Shard, all sim.Range) ([]uint64, error) {
	step := uint64(max(1, s.Of))
	var seeds []uint64
	for seed := all.First + uint64(s.Index); seed <= all.Last && seed >= all.First; seed += step {
		seeds = append(seeds, seed)
	}
	if len(seeds) == 0 {
		return nil, fmt.Errorf("%w: shard %d/%d of the seeds %d..%d is empty", ErrShard, s.Index, s.Of, all.First, all.Last)
	}
	return seeds, nil
}

func partOf(s Shard, all sim.Range) *sim.Part {
	if s.Of == 0 {
		return nil
	}
	return &sim.Part{Shard: s.Index, Of: s.Of, Seeds: all}
}
