package drill

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// Shrink takes away what a drill does not need to deviate: steps in a row, then
// what it measures, then single actions and expectations. try runs a candidate,
// same says whether a run deviates in the way that is looked for. Every
// candidate went through its file first, so what is returned can be written
// down, read and run.
//
// What is left is a local minimum: nothing more can be taken away alone, but
// another schedule may be shorter.
func Shrink(ctx context.Context, s *sim.Scenario, try func(context.Context, *sim.Scenario) (sim.Run, error), same func(sim.Run) bool) (*sim.Scenario, error) {
	least := s
	for {
		smaller, err := firstSmaller(ctx, least, try, same)
		if err != nil {
			return nil, fmt.Errorf("shrinking %q: %w", s.Name, err)
		}
		if smaller == nil {
			return least, nil
		}
		least = smaller
	}
}

// firstSmaller is the first candidate that still deviates, nil if none does.
func firstSmaller(ctx context.Context, s *sim.Scenario, try func(context.Context, *sim.Scenario) (sim.Run, error), same func(sim.Run) bool) (*sim.Scenario, error) {
	for candidate := range candidates(s) {
		loaded, err := sim.Load(s.Name, sim.Encode(candidate))
		if err != nil {
			continue // what is left needs what was taken away
		}
		run, err := try(ctx, loaded)
		switch {
		case err != nil:
			return nil, err
		case same(run):
			return loaded, nil
		}
	}
	return nil, nil
}

// candidates are s with one thing less, the largest things first.
func candidates(s *sim.Scenario) iter.Seq[*sim.Scenario] {
	return func(yield func(*sim.Scenario) bool) {
		for size := len(s.Steps) - 1; size > 0; size /= 2 {
			for i := 0; i+size <= len(s.Steps); i++ {
				less := *s
				less.Steps = slices.Delete(slices.Clone(s.Steps), i, i+size)
				if !yield(&less) {
					return
				}
			}
		}
		if s.Measure != (sim.Measure{}) {
			less := *s
			less.Measure, less.Expect = sim.Measure{}, sim.Targets{}
			if !yield(&less) {
				return
			}
		}
		for i, step := range s.Steps {
			for smaller := range smallerSteps(step) {
				less := *s
				less.Steps = slices.Clone(s.Steps)
				less.Steps[i] = smaller
				if !yield(&less) {
					return
				}
			}
		}
	}
}

// smallerSteps are step with one action or one expectation less.
func smallerSteps(step sim.Step) iter.Seq[sim.Step] {
	return func(yield func(sim.Step) bool) {
		for i := range step.Do {
			less := step
			if less.Do = slices.Delete(slices.Clone(step.Do), i, i+1); !yield(less) {
				return
			}
		}
		for i := range step.Expect {
			less := step
			if less.Expect = slices.Delete(slices.Clone(step.Expect), i, i+1); !yield(less) {
				return
			}
		}
	}
}

// Random makes up a drill of faults, to search with: nothing in it may break an
// invariant, whatever the order. seed decides it.
func Random(seed uint64, steps int) *sim.Scenario {
	rng := rand.New(rand.NewPCG(seed, 0x72616e646f6d))
	s := &sim.Scenario{
		Name: fmt.Sprintf("random-%d", seed), Kind: sim.KindDrill, Title: fmt.Sprintf("Random faults, seed %d", seed),
		Engines: []sim.EngineName{sim.Virtual}, Seeds: sim.Range{First: seed, Last: seed},
		Given: sim.Given{
			Members: 3 + 2*rng.IntN(2), Tick: sim.Duration(100 * time.Millisecond), Election: sim.Duration(time.Second),
			Latency: sim.Duration(time.Millisecond), Spread: sim.Duration(time.Duration(rng.IntN(20)) * time.Millisecond),
			Sync: sim.Duration(time.Millisecond), PreVote: rng.IntN(2) == 0, Load: sim.Workload{Writes: 20, Reads: 5, Clients: 3},
		},
		Steady: []sim.Expectation{{Subject: sim.OnLeader, Value: "exactly-one", Within: sim.Duration(20 * time.Second)}},
		Always: sim.AllInvariants(), Stop: sim.Duration(time.Hour),
	}
	s.Steps = faults(rng, s.Given, steps)
	return s
}

// RandomOn makes up a drill of faults on the cluster of another drill: its given,
// its steady state and its invariants stand.
func RandomOn(on *sim.Scenario, seed uint64, steps int) *sim.Scenario {
	s := &sim.Scenario{
		Name: on.Name, Kind: sim.KindDrill, Title: fmt.Sprintf("%s: random faults, seed %d", on.Title, seed),
		Engines: []sim.EngineName{sim.Virtual}, Seeds: sim.Range{First: seed, Last: seed},
		Given: on.Given, Steady: on.Steady, Always: on.Always, Stop: sim.Duration(time.Hour),
	}
	s.Steps = faults(rand.New(rand.NewPCG(seed, 0x72616e646f6d)), s.Given, steps)
	return s
}

// faults are steps that the cluster has to stand, and its recovery from them.
func faults(rng *rand.Rand, given sim.Given, n int) (steps []sim.Step) {
	for i := range n {
		steps = append(steps, sim.Step{
			Name: fmt.Sprintf("fault %d", i+1), Wait: sim.Duration(time.Duration(rng.IntN(3000)) * time.Millisecond), Do: fault(rng, given.Members),
		})
	}
	well := []sim.Expectation{{Subject: sim.OnLeader, Value: "exactly-one", Within: sim.Duration(30 * time.Second)}}
	if given.Members > 1 {
		well = append(well, sim.Expectation{Subject: sim.OnHash, Value: "equal", Within: sim.Duration(60 * time.Second)})
	}
	return append(steps,
		sim.Step{Name: "heal", Do: []sim.Action{{Verb: sim.Heal}}},
		sim.Step{Name: "all run", Do: []sim.Action{{Verb: sim.Start, Targets: []sim.Selector{"all"}}}, Expect: well})
}

// fault is one that the cluster has to stand. Selectors always find somebody.
func fault(rng *rand.Rand, members int) []sim.Action {
	whom := []sim.Selector{sim.Selector(fmt.Sprintf("m%d", 1+rng.IntN(min(3, members))))}
	one := func(a sim.Action) []sim.Action { return []sim.Action{a} }
	switch rng.IntN(10) {
	case 0, 1:
		return one(sim.Action{Verb: sim.Kill, Targets: whom})
	case 2, 3:
		return one(sim.Action{Verb: sim.Start, Targets: whom})
	case 4:
		return one(sim.Action{Verb: sim.Isolate, Targets: whom})
	case 5:
		return one(sim.Action{Verb: sim.OneWay, Targets: whom})
	case 6:
		return one(sim.Action{Verb: sim.Drop, Targets: whom, Rate: 0.3})
	case 7:
		return one(sim.Action{Verb: sim.ClockPause, Targets: whom, By: sim.Duration(time.Duration(rng.IntN(4000)) * time.Millisecond)})
	case 8: // an election in which somebody dies between its vote and the next term
		all := []sim.Selector{"all"}
		return []sim.Action{{Verb: sim.Heal}, {Verb: sim.Kill, Targets: all}, {Verb: sim.Start, Targets: all}, {Verb: sim.Ambush, Targets: whom}, {Verb: sim.Wait, By: sim.Duration(3 * time.Second)}}
	}
	return one(sim.Action{Verb: sim.Heal})
}
