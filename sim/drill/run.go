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
	// Shard is the part of the seeds to run, of a drill of the virtual engine; the
	// zero value is all of them.
	Shard Shard
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
	if o.Shard.Of > 0 && engine != sim.Virtual {
		return nil, fmt.Errorf("running %q: %w: it runs once on the %s engine", s.Name, ErrShard, engine)
	}
	if engine == sim.Virtual {
		return onVirtual(ctx, s, data, seeds, o)
	}
	var run sim.Run
	var err error
	started := time.Now().UTC().Truncate(time.Second)
	switch {
	case engine == sim.Nodes:
		run, err = onNodes(ctx, s, o.Nodes)
	case o.Embedded == nil:
		return nil, fmt.Errorf("running %q: this program has no embedded engine: %w", s.Name, ErrEngine)
	default:
		run, err = One(ctx, o.Embedded, s, seeds.First)
		if err == nil && o.Progress != nil {
			o.Progress(1, 1, run)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("running %q: %w", s.Name, err)
	}
	report := sim.NewReport(s, engine, versions(engine), []sim.Run{run})
	if engine == sim.Embedded {
		report.Started = started
	}
	return report, nil
}

// onVirtual runs a drill in virtual time, with all seeds or a shard of them.
func onVirtual(ctx context.Context, s *sim.Scenario, data []byte, seeds sim.Range, o Options) (*sim.Report, error) {
	mine, err := seedsOf(o.Shard, seeds)
	if err != nil {
		return nil, fmt.Errorf("running %q: %w", s.Name, err)
	}
	runs, err := virtual(ctx, batch{seeds: mine, job: func(seed uint64) job { return job{Name: s.Name, Data: data, Seed: seed} }}, o)
	if err != nil {
		return nil, fmt.Errorf("running %q: %w", s.Name, err)
	}
	report := sim.NewReport(s, sim.Virtual, versions(sim.Virtual), runs)
	report.Part = partOf(o.Shard, seeds)
	report.Replay = fmt.Sprintf("lifeboat drill run %s --engine virtual --seeds %d", cmp.Or(o.Source, s.Name), report.Run.Seed)
	if o.Shrink && report.Verdict == sim.Deviated {
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

// batch is what virtual spreads over workers.
type batch struct {
	seeds []uint64 // ascending
	job   func(seed uint64) job
	// until, unless nil, ends the batch at the first seed whose run it is true of:
	// seeds above that one are not begun, and not kept.
	until func(sim.Run) bool
}

// pool is a batch on its way.
type pool struct {
	batch
	mu     sync.Mutex
	next   int
	last   int // no seed behind this one is of interest
	runs   []sim.Run
	broken error
}

// take is the next seed.
func (p *pool) take(ctx context.Context) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil || ctx.Err() != nil || p.next > p.last {
		return 0, false
	}
	p.next++
	return p.seeds[p.next-1], true
}

// give keeps a run without its timeline, but for the first and those that were
// not met.
func (p *pool) give(run sim.Run, err error, o Options, cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if p.broken == nil {
			p.broken = err
			cancel()
		}
		return
	}
	if p.until != nil && p.until(run) {
		p.last = min(p.last, slices.Index(p.seeds, run.Seed))
	}
	if run.Verdict == sim.Met && run.Seed != p.seeds[0] {
		run = sim.Run{Seed: run.Seed, Verdict: run.Verdict, RTO: run.RTO, RPO: run.RPO, RPOUnknown: run.RPOUnknown, Digest: run.Digest}
	}
	p.runs = append(p.runs, run)
	if o.Progress != nil {
		o.Progress(len(p.runs), p.last+1, run)
	}
}

// virtual spreads seeds over workers.
func virtual(parent context.Context, todo batch, o Options) ([]sim.Run, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers := o.Workers
	if workers < 1 {
		workers = runtime.NumCPU()
	}
	p := &pool{batch: todo, last: len(todo.seeds) - 1}
	var group sync.WaitGroup
	for range min(workers, len(todo.seeds)) {
		group.Go(func() {
			w, err := startWorker(ctx)
			if err != nil {
				p.give(sim.Run{}, err, o, cancel)
				return
			}
			defer w.close()
			for seed, ok := p.take(ctx); ok; seed, ok = p.take(ctx) {
				run, err := w.do(p.job(seed))
				p.give(run, err, o, cancel)
			}
		})
	}
	group.Wait()
	if parent.Err() != nil {
		return nil, parent.Err()
	}
	if p.broken != nil {
		return nil, p.broken
	}
	return slices.DeleteFunc(p.runs, func(run sim.Run) bool { return run.Seed > p.seeds[p.last] }), nil
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
