package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// Shrink takes away what a failing drill does not need to fail: whole steps
// first, then what they do and expect. same says whether a run fails the way
// that is looked for. What is left is a local minimum: nothing more can be
// taken away alone, but another schedule may be shorter.
func Shrink(ctx context.Context, engine sim.Engine, s *sim.Scenario, seed uint64, same func(sim.Run) bool) (*sim.Scenario, error) {
	least := *s
	for size := max(1, len(least.Steps)/2); size > 0; {
		smaller, err := without(ctx, engine, &least, seed, size, same)
		if err != nil {
			return nil, err
		}
		if smaller == nil {
			size /= 2
			continue
		}
		least = *smaller
	}
	return &least, nil
}

// without tries to leave out size steps in a row, at every place.
func without(ctx context.Context, engine sim.Engine, s *sim.Scenario, seed uint64, size int, same func(sim.Run) bool) (*sim.Scenario, error) {
	for i := 0; i+size <= len(s.Steps) && len(s.Steps) > size; i++ {
		candidate := *s
		candidate.Steps = slices.Delete(slices.Clone(s.Steps), i, i+size)
		run, err := One(ctx, engine, &candidate, seed)
		if err != nil {
			return nil, err
		}
		if same(run) {
			return &candidate, nil
		}
	}
	return nil, nil
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
	for i := range steps {
		s.Steps = append(s.Steps, sim.Step{
			Name: fmt.Sprintf("fault %d", i+1), Wait: sim.Duration(time.Duration(rng.IntN(3000)) * time.Millisecond), Do: []sim.Action{fault(rng)},
		})
	}
	s.Steps = append(s.Steps,
		sim.Step{Name: "heal", Do: []sim.Action{{Verb: sim.Heal}}},
		sim.Step{Name: "all run", Do: []sim.Action{{Verb: sim.Start, Targets: []sim.Selector{"all"}}}, Expect: []sim.Expectation{
			{Subject: sim.OnLeader, Value: "exactly-one", Within: sim.Duration(30 * time.Second)},
			{Subject: sim.OnHash, Value: "equal", Within: sim.Duration(60 * time.Second)},
		}})
	return s
}

// fault is one that the cluster has to stand. Selectors always find somebody.
func fault(rng *rand.Rand) sim.Action {
	whom := []sim.Selector{sim.Selector(fmt.Sprintf("m%d", 1+rng.IntN(3)))}
	switch rng.IntN(9) {
	case 0, 1:
		return sim.Action{Verb: sim.Kill, Targets: whom}
	case 2, 3:
		return sim.Action{Verb: sim.Start, Targets: whom}
	case 4:
		return sim.Action{Verb: sim.Isolate, Targets: whom}
	case 5:
		return sim.Action{Verb: sim.OneWay, Targets: whom}
	case 6:
		return sim.Action{Verb: sim.Drop, Targets: whom, Rate: 0.3}
	case 7:
		return sim.Action{Verb: sim.ClockPause, Targets: whom, By: sim.Duration(time.Duration(rng.IntN(4000)) * time.Millisecond)}
	}
	return sim.Action{Verb: sim.Heal}
}
