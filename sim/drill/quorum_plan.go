package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// The orders that PlanQuorum tries.
const (
	Safe    = "safe"
	InHaste = "in haste"
)

// PlanStep is one step of a change of members, as it went.
type PlanStep struct {
	Plan   string `json:"plan"`
	Action string `json:"action"`
	Says   string `json:"etcdSays"`
	Writes string `json:"writes"` // afterwards
}

// PlanRules say whose answers PlanQuorum gives (etcd issue 21640, and its
// backports).
const PlanRules = "the rules of etcd 3.7, 3.6.11 and 3.5.31. Before those a member is added only while all members are connected: remove a dead one first"

// PlanQuorum runs the safe order of steps from one size to another, and the
// hasty one, in virtual time. What ran comes back beside an error, which says
// why a plan ended before its last step.
func PlanQuorum(ctx context.Context, from, to int) ([]PlanStep, error) {
	var steps []PlanStep
	var ended error
	for _, plan := range []struct {
		name  string
		steps []string
	}{{Safe, safePlan(from, to)}, {InHaste, hastyPlan(from, to)}} {
		ran, err := runPlan(ctx, plan.name, from, plan.steps)
		steps, ended = append(steps, ran...), errors.Join(ended, err)
	}
	return steps, ended
}

// safePlan grows by learners and shrinks while all run; six seconds between two
// changes are the health interval that etcd asks for, and some more.
func safePlan(from, to int) []string {
	var out []string
	for n := from + 1; n <= to; n++ {
		out = append(out, fmt.Sprintf("{add-learner: n%d}", n), fmt.Sprintf("{start: n%d}", n), "{wait: 6s}", fmt.Sprintf("{promote: n%d}", n), "{wait: 6s}")
	}
	for n := from; n > to; n-- {
		out = append(out, "{remove: follower}", "{wait: 6s}")
	}
	return out
}

// hastyPlan adds voters that do not run yet, and switches machines off before
// it removes their members, one at a time.
func hastyPlan(from, to int) []string {
	var out []string
	for n := from + 1; n <= to; n++ {
		out = append(out, fmt.Sprintf("{add-member: n%d}", n))
	}
	for n := from; n > to; n-- {
		out = append(out, fmt.Sprintf("{kill: m%d}", n))
	}
	for n := from; n > to; n-- {
		out = append(out, fmt.Sprintf("{remove: m%d}", n))
	}
	return out
}

// runPlan runs a plan once. What ran comes back beside the error, which says why
// the plan ended before its last step.
func runPlan(ctx context.Context, name string, from int, actions []string) ([]PlanStep, error) {
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: lifeboat/v1
kind: Drill
title: plan
engine: virtual
given: {members: %d, load: {writes: 20/s}}
steady: [{leader: exactly-one}, {write: ok, within: 10s}]
always: [one-leader-per-term, log-matching, leader-completeness, committed-agree, commit-on-quorum, acked-writes-survive]
stop-when: {time: 30m}
steps:
  - {name: settled, at: 10s, do: {wait: 1s}}
`, from)
	for i, action := range actions {
		fmt.Fprintf(&text, "  - {name: s%d, do: %s, expect: [{write: ok, within: 3s}]}\n", i, action)
	}
	data := []byte(text.String())
	s, err := sim.Load("plan", data)
	if err != nil {
		return nil, err
	}
	// In a worker: raft draws its election timeouts from the process's random
	// reader, which only a worker may replace by one that the seed decides.
	report, err := Run(ctx, s, data, Options{Engine: sim.Virtual, Seeds: &sim.Range{First: 1, Last: 1}})
	if err != nil {
		return nil, err
	}
	run := report.Run
	// That writes stop is what a plan is asked for. What ended it is not.
	if ran := len(run.Steps); ran <= len(actions) || run.Verdict == sim.Aborted || strings.HasPrefix(run.Cause, "invariant") {
		err = fmt.Errorf("the plan %q ended at step %d of %d: %s", name, max(0, ran-1), len(actions), run.Reason)
	}
	var out []PlanStep
	for _, step := range run.Steps[min(1, len(run.Steps)):] {
		for _, d := range step.Done {
			p := PlanStep{Plan: name, Action: d.Action, Says: "ok", Writes: "-"}
			if d.Error != "" {
				p.Says = d.Error
			}
			if n := len(step.Checks); n > 0 {
				p.Writes = step.Checks[n-1].Observed
			}
			out = append(out, p)
		}
	}
	return out, err
}
