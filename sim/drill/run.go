package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// ErrEngine says that the drill does not list the engine, or there is none of that name.
var ErrEngine = errors.New("the drill is not for that engine")

// ErrBackup says that the drill starts from a backup, and none was opened for it.
var ErrBackup = errors.New("the drill starts from a backup, and none was opened")

// Options are how a drill is run.
type Options struct {
	Engine  sim.EngineName // "" is the first that the drill lists
	Seeds   *sim.Range     // nil is the drill's own
	Workers int            // of the virtual engine; 0 is one per core
	// Embedded is the engine of real members; nil where there is none.
	Embedded sim.Engine
	// Nodes answers drills that lose nodes, on the backup; nil where there is none.
	Nodes sim.NodeLoser
	// Source is how the drill was named, for the command that repeats it; ""
	// is the scenario's name.
	Source string
	// Shrink asks for Report.Shrunk where the virtual engine deviated. It costs
	// some tens of runs.
	Shrink bool
	// Progress is told after each seed, from one goroutine at a time.
	Progress func(done, all int, run sim.Run)
}

// Run runs a drill with all its seeds. data is the drill's file, which the
// workers read again.
func Run(ctx context.Context, s *sim.Scenario, data []byte, o Options) (*sim.Report, error) {
	if s.Kind == sim.KindCard {
		return nil, fmt.Errorf("running %q: %w: it is a card, which is read", s.Name, ErrEngine)
	}
	engine := o.Engine
	if engine == "" {
		engine = s.Engines[0]
	}
	if !slices.Contains(s.Engines, engine) {
		return nil, fmt.Errorf("running %q on the %s engine: %w", s.Name, engine, ErrEngine)
	}
	if s.Given.Backup != "" && s.Given.Snapshot == "" && engine == sim.Embedded || engine == sim.Nodes && o.Nodes == nil {
		return nil, fmt.Errorf("running %q: %w", s.Name, ErrBackup)
	}
	seeds := s.Seeds
	if o.Seeds != nil {
		seeds = *o.Seeds
	}
	var runs []sim.Run
	var err error
	started := time.Now().UTC().Truncate(time.Second)
	switch {
	case engine == sim.Virtual:
		runs, err = virtual(ctx, s, data, seeds, o)
	case engine == sim.Nodes:
		var run sim.Run
		run, err = onNodes(ctx, s, o.Nodes)
		runs = []sim.Run{run}
	case o.Embedded == nil:
		return nil, fmt.Errorf("running %q: this program has no embedded engine: %w", s.Name, ErrEngine)
	default:
		var run sim.Run
		run, err = One(ctx, o.Embedded, s, seeds.First)
		runs = []sim.Run{run}
		if err == nil && o.Progress != nil {
			o.Progress(1, 1, run)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("running %q: %w", s.Name, err)
	}
	report := sim.NewReport(s, engine, versions(engine), runs)
	if engine == sim.Embedded {
		report.Started = started
	}
	if engine == sim.Virtual {
		report.Replay = fmt.Sprintf("lifeboat drill run %s --engine virtual --seeds %d", cmp.Or(o.Source, s.Name), report.Run.Seed)
	}
	if engine == sim.Virtual && o.Shrink && report.Verdict == sim.Deviated {
		report.Shrunk, err = shrunk(ctx, s, report.Run)
	}
	return report, err
}

// shrunk is the file of what is left of a drill that deviated in run.
func shrunk(ctx context.Context, s *sim.Scenario, run sim.Run) ([]byte, error) {
	w, err := startWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	whole := *s
	whole.Engines, whole.Seeds = []sim.EngineName{sim.Virtual}, sim.Range{First: run.Seed, Last: run.Seed}
	try := func(ctx context.Context, candidate *sim.Scenario) (sim.Run, error) {
		out, err := w.do(job{Name: s.Name, Data: sim.Encode(candidate), Seed: run.Seed})
		if ctx.Err() != nil {
			return out, ctx.Err() // the worker was ended
		}
		return out, err
	}
	least, err := Shrink(ctx, &whole, try, func(r sim.Run) bool { return r.Verdict == sim.Deviated && r.Cause == run.Cause })
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("# Shrunk from drill %q at seed %d, sha256\n# %s\n"+
		"# Steps left: %d of %d. It deviates the same way:\n# %q\n"+
		"# This is a local minimum: nothing more can be taken away alone, but another\n"+
		"# schedule may be shorter.\n", s.Name, run.Seed, s.Digest, len(least.Steps), len(s.Steps), run.Cause)
	return append([]byte(head), sim.Encode(least)...), nil
}

// virtual spreads seeds over workers. Every run is kept without its timeline,
// but for the first and those that were not met.
func virtual(parent context.Context, s *sim.Scenario, data []byte, seeds sim.Range, o Options) ([]sim.Run, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	all := int(seeds.Last - seeds.First + 1)
	workers := o.Workers
	if workers < 1 {
		workers = runtime.NumCPU()
	}
	var (
		mu     sync.Mutex
		next   = seeds.First
		runs   []sim.Run
		broken error
		group  sync.WaitGroup
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if broken != nil || ctx.Err() != nil || int(next-seeds.First) >= all {
			return 0, false
		}
		next++
		return next - 1, true
	}
	give := func(run sim.Run, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if broken == nil {
				broken = err
				cancel()
			}
			return
		}
		if run.Verdict == sim.Met && run.Seed != seeds.First {
			run = sim.Run{Seed: run.Seed, Verdict: run.Verdict, RTO: run.RTO, RPO: run.RPO, RPOUnknown: run.RPOUnknown, Digest: run.Digest}
		}
		runs = append(runs, run)
		if o.Progress != nil {
			o.Progress(len(runs), all, run)
		}
	}
	for range min(workers, all) {
		group.Go(func() {
			w, err := startWorker(ctx)
			if err != nil {
				give(sim.Run{}, err)
				return
			}
			defer w.close()
			for seed, ok := take(); ok; seed, ok = take() {
				give(w.do(job{Name: s.Name, Data: data, Seed: seed}))
			}
		})
	}
	group.Wait()
	if parent.Err() != nil {
		return nil, parent.Err()
	}
	return runs, broken
}

// versions are of the libraries whose behaviour a verdict is about.
func versions(engine sim.EngineName) map[string]string {
	out := map[string]string{"go": runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, dep := range info.Deps {
		switch {
		case engine == sim.Nodes && dep.Path == "k8s.io/kubernetes":
			out["kubernetes"] = dep.Version
		case engine != sim.Nodes && dep.Path == "go.etcd.io/raft/v3":
			out["raft"] = dep.Version
		case engine != sim.Nodes && dep.Path == "go.etcd.io/etcd/server/v3":
			out["etcd"] = dep.Version
		}
	}
	return out
}
