package drill

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// ErrShard says that a drill cannot be split that way.
var ErrShard = errors.New("no such shard")

// Shard is one of Of equal parts of the seeds, counted from 0: every Of-th seed,
// beginning with the Index-th. The zero value is all seeds.
type Shard struct{ Index, Of int }

// ParseShard reads "0/4".
func ParseShard(text string) (Shard, error) {
	index, of, _ := strings.Cut(text, "/")
	i, errI := strconv.Atoi(index)
	n, errN := strconv.Atoi(of)
	if errI != nil || errN != nil || n < 1 || i < 0 || i >= n {
		return Shard{}, fmt.Errorf("%w: %q: write I/N, from 0/N to N-1/N", ErrShard, text)
	}
	return Shard{i, n}, nil
}

// of are the shard's seeds. A shard without any would prove nothing.
func (s Shard) of(all sim.Range) ([]uint64, error) {
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

func (s Shard) part(all sim.Range) *sim.Part {
	if s.Of == 0 {
		return nil
	}
	return &sim.Part{Shard: s.Index, Of: s.Of, Seeds: all}
}
