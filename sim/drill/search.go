package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// ErrSearch says that a drill cannot be searched with.
var ErrSearch = errors.New("it cannot be searched with")

// Search runs random drills on the cluster that a drill gives, with its steady
// state and its invariants, one for each seed, until one is not met. The report
// ends with that seed; its Run is that drill's, and Shrunk what is left of it. The
// steps of s itself are not run.
//
// steps is how many faults each drill has.
func Search(ctx context.Context, s *sim.Scenario, seeds sim.Range, steps int, o Options) (*sim.Report, error) {
	switch {
	case s.Kind == sim.KindCard || s.Given.Backup != "" || s.Engines[0] == sim.Nodes:
		return nil, fmt.Errorf("searching with %q: %w: random faults are for members in virtual time", s.Name, ErrSearch)
	case len(s.Always) == 0:
		return nil, fmt.Errorf("searching with %q: %w: it lists no invariant under always, so there is nothing to find", s.Name, ErrSearch)
	case steps < 1 || steps > 1000:
		return nil, fmt.Errorf("searching with %q: %w: a drill of %d faults", s.Name, ErrSearch, steps)
	}
	mine, err := seedsOf(o.Shard, seeds)
	if err != nil {
		return nil, fmt.Errorf("searching with %q: %w", s.Name, err)
	}
	drillOf := func(seed uint64) *sim.Scenario { return RandomOn(s, seed, steps) }
	runs, err := virtual(ctx, batch{
		seeds: mine,
		job:   func(seed uint64) job { return job{Name: s.Name, Data: sim.Encode(drillOf(seed)), Seed: seed} },
		until: func(run sim.Run) bool { return run.Verdict != sim.Met },
	}, o)
	if err != nil {
		return nil, fmt.Errorf("searching with %q: %w", s.Name, err)
	}
	report := sim.NewReport(s, sim.Virtual, versions(sim.Virtual), runs)
	report.Part, report.Search = partOf(o.Shard, seeds), &sim.Search{Steps: steps, Seeds: seeds}
	report.Replay = fmt.Sprintf("lifeboat drill search %s --steps %d --seeds %d", cmp.Or(o.Source, s.Name), steps, report.Run.Seed)
	if report.Verdict == sim.Deviated {
		found := drillOf(report.Run.Seed)
		if found, err = sim.Load(s.Name, sim.Encode(found)); err != nil {
			return nil, fmt.Errorf("searching with %q: %w", s.Name, err)
		}
		report.Shrunk, err = shrunk(ctx, found, report.Run)
	}
	return report, err
}
