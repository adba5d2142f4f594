package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// How long the cluster may take to become well.
const (
	steadyBefore = 30 * time.Second
	steadyAfter  = 15 * time.Second
	poll         = 47 * time.Millisecond // out of step with loads of 10, 20 or 50 writes per second
	attempt      = 2 * time.Second       // of a probe: longer than an election
)

// errStopped: the time that stop-when gives is over.
var errStopped = errors.New("stopped by stop-when")

// runner is one run.
type runner struct {
	scenario *sim.Scenario
	cluster  sim.Cluster
	rng      *rand.Rand
	run      sim.Run
	rotate   int // which member is asked next

	// Of the step that runs.
	term   uint64
	action error
}

// One runs a drill with one seed. The error is only ever ctx's, or that the
// engine could not start a cluster at all; all else is in the Run's verdict.
func One(ctx context.Context, engine sim.Engine, s *sim.Scenario, seed uint64) (sim.Run, error) {
	given := s.Given
	given.Always = slices.Clone(s.Always)
	cluster, err := engine.Start(ctx, given, seed)
	if err != nil {
		return sim.Run{}, fmt.Errorf("starting %d members on the %s engine: %w", given.Members+given.Learners, engine.Name(), err)
	}
	defer cluster.Close()
	r := &runner{scenario: s, cluster: cluster, rng: rand.New(rand.NewPCG(seed, 0x6472696c6c)), run: sim.Run{Seed: seed, Verdict: sim.Met}}
	r.conclude(r.play(ctx))
	if ctx.Err() != nil {
		return r.run, ctx.Err()
	}
	r.summary(ctx)
	return r.run, ctx.Err()
}

// play is the whole drill.
func (r *runner) play(ctx context.Context) error {
	before, err := r.steady(ctx, steadyBefore)
	r.run.Before = before
	if err != nil {
		return err
	}
	if miss := missed(before); miss != nil {
		r.run.Verdict, r.run.Reason = sim.NotSteady, reasonOf("steady before", *miss)
		return nil
	}
	begun := r.cluster.Now()
	for _, step := range r.scenario.Steps {
		if err := r.step(ctx, step, begun); err != nil {
			return err
		}
	}
	after, err := r.steady(ctx, steadyAfter)
	r.run.After = after
	if err != nil {
		return err
	}
	r.deviate("steady after", after)
	return r.linearizable(ctx)
}

// steady waits for all of the drill's steady expectations at once.
func (r *runner) steady(ctx context.Context, within time.Duration) ([]sim.Check, error) {
	end := r.cluster.Now() + within
	for {
		var checks []sim.Check
		for _, e := range r.scenario.Steady {
			e.Within = sim.Duration(min(e.Within.D(), max(0, end-r.cluster.Now())))
			check, err := r.judge(ctx, e)
			checks = append(checks, check)
			if err != nil {
				return checks, err
			}
		}
		if missed(checks) == nil || r.cluster.Now() >= end {
			return checks, nil
		}
		if err := r.advance(ctx, r.cluster.Now()+poll); err != nil {
			return checks, err
		}
	}
}

func (r *runner) step(ctx context.Context, step sim.Step, begun time.Duration) error {
	if step.At != nil {
		if err := r.advance(ctx, max(r.cluster.Now(), begun+step.At.D())); err != nil {
			return err
		}
	}
	if err := r.advance(ctx, r.cluster.Now()+step.Wait.D()); err != nil {
		return err
	}
	result := sim.StepResult{Name: step.Name, Start: sim.Duration(r.cluster.Now())}
	r.term, r.action = highestTerm(r.cluster.Members()), nil
	err := r.actions(ctx, step, &result)
	for i := 0; err == nil && i < len(step.Expect); i++ {
		var check sim.Check
		check, err = r.judge(ctx, step.Expect[i])
		result.Checks = append(result.Checks, check)
	}
	result.End = sim.Duration(r.cluster.Now())
	r.run.Steps = append(r.run.Steps, result)
	if err != nil {
		return err
	}
	r.deviate(fmt.Sprintf("step %q", step.Name), result.Checks)
	return nil
}

// actions does what the step says. An action that is refused is a deviation
// unless it is the one that the step's expectation speaks of.
func (r *runner) actions(ctx context.Context, step sim.Step, result *sim.StepResult) error {
	spoken := -1
	if slices.ContainsFunc(step.Expect, func(e sim.Expectation) bool { return e.Subject == sim.OnAction }) {
		spoken = step.LastAction()
	}
	for i, a := range step.Do {
		if a.Verb != sim.AddMember && a.Verb != sim.AddLearner {
			var err error
			members := r.cluster.Members()
			if a.Targets, err = sim.Resolve(a.Targets, members, r.rng); err == nil {
				a.Against, err = sim.Resolve(a.Against, members, r.rng)
			}
			if err != nil {
				return &sim.FatalError{Err: fmt.Errorf("step %q: %s: %w", step.Name, a.Verb, err)}
			}
		}
		done := sim.Done{Action: a.String(), At: sim.Duration(r.cluster.Now())}
		err := r.cluster.Do(ctx, a)
		done.Took = sim.Duration(r.cluster.Now()) - done.At
		if err != nil {
			done.Error = err.Error()
		}
		result.Done = append(result.Done, done)
		if serious(err) || errors.Is(err, sim.ErrUnsupported) {
			return err
		}
		switch {
		case i == spoken:
			r.action = err
		case err != nil:
			result.Checks = append(result.Checks, sim.Check{Expected: done.Action + " is done", Observed: done.Error, At: sim.Duration(r.cluster.Now())})
		}
		if r.cluster.Now() > r.scenario.Stop.D() {
			return errStopped
		}
	}
	return nil
}

// advance lets time pass, and ends the run at stop-when.
func (r *runner) advance(ctx context.Context, until time.Duration) error {
	stop := r.scenario.Stop.D()
	if err := r.cluster.Advance(ctx, min(until, stop)); err != nil {
		return err
	}
	if until > stop {
		return errStopped
	}
	return nil
}

// serious errors end the run: they are not what a client is told.
func serious(err error) bool {
	var fatal *sim.FatalError
	return errors.Is(err, sim.ErrInvariant) || errors.As(err, &fatal) ||
		errors.Is(err, context.Canceled) || errors.Is(err, errStopped)
}

// deviate keeps the first deviation as the reason, and the others beside it.
func (r *runner) deviate(where string, checks []sim.Check) {
	for _, c := range checks {
		if !c.Met {
			r.fail(where+": "+c.Expected, reasonOf(where, c))
		}
	}
}

// fail is a deviation. The first one gives the run its cause.
func (r *runner) fail(cause, reason string) {
	if r.run.Verdict == sim.Met {
		r.run.Verdict, r.run.Reason, r.run.Cause = sim.Deviated, reason, cause
	}
	r.run.Reasons = append(r.run.Reasons, reason)
}

func missed(checks []sim.Check) *sim.Check {
	for i := range checks {
		if !checks[i].Met {
			return &checks[i]
		}
	}
	return nil
}

func reasonOf(where string, c sim.Check) string {
	return fmt.Sprintf("%s at %s: expected %s, observed %s", where, c.At, c.Expected, c.Observed)
}

// conclude turns what ended the run into a verdict.
func (r *runner) conclude(err error) {
	var broken *sim.InvariantError
	switch {
	case err == nil:
	case errors.As(err, &broken):
		r.run.Verdict, r.run.Reason, r.run.Cause = sim.Deviated, err.Error(), "invariant "+string(broken.Name)
		r.run.Reasons = append([]string{err.Error()}, r.run.Reasons...) // it is what ended the run
	default:
		r.run.Verdict, r.run.Reason = sim.Aborted, err.Error()
	}
}

// linearizable asks engines that kept the history of the load.
func (r *runner) linearizable(ctx context.Context) error {
	judge, ok := r.cluster.(interface {
		Linearizable(ctx context.Context) error
	})
	if !ok || !slices.Contains(r.cluster.Checked(), sim.Linearizable) {
		return nil
	}
	return judge.Linearizable(ctx)
}

// highestTerm is of the newest cluster that runs.
func highestTerm(members []sim.Member) uint64 {
	epoch, term := 0, uint64(0)
	for _, m := range members {
		switch {
		case !m.Running() || m.Epoch < epoch:
		case m.Epoch > epoch:
			epoch, term = m.Epoch, m.Term
		default:
			term = max(term, m.Term)
		}
	}
	return term
}
