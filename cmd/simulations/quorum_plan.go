package simulations

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func simQuorumPlanCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "each step from one size to another, and what etcd will say",
		UsageText: "lifeboat sim quorum plan --from 1 --to 3\nlifeboat sim quorum plan --from 3 --to 1",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "from", Usage: "voters now, `N`"},
			&cli.IntFlag{Name: "to", Usage: "voters wanted, `N`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error {
			from, to := c.Int("from"), c.Int("to")
			if from < 1 || from > 9 || to < 1 || to > 9 || from == to {
				return console.Usagef("--from and --to are two different sizes from 1 to 9")
			}
			return quorumPlan(c, env, from, to)
		},
	}
}

// planStep is a step as it went.
type planStep struct {
	Plan   string `json:"plan"`
	Action string `json:"action"`
	Says   string `json:"etcdSays"`
	Writes string `json:"writes"` // afterwards
}

// quorumPlan runs the safe order and the hasty one, and tells what was said.
func quorumPlan(c *cli.Context, env *console.Environment, from, to int) error {
	var steps []planStep
	var ended error
	for _, plan := range []struct {
		name  string
		steps []string
	}{{"safe", safePlan(from, to)}, {"in haste", hastyPlan(from, to)}} {
		ran, err := runPlan(c, plan.name, from, plan.steps)
		steps, ended = append(steps, ran...), errors.Join(ended, err)
	}
	if err := printPlan(env, steps); err != nil {
		return err
	}
	return ended
}

// planRules say whose answers a plan shows (etcd issue 21640, and its backports).
const planRules = "the rules of etcd 3.7, 3.6.11 and 3.5.31. Before those a member is added only while all members are connected: remove a dead one first"

func printPlan(env *console.Environment, steps []planStep) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"items": steps, "rules": planRules})
	}
	t := console.NewTable(env.Stdout, "PLAN", "STEP", "ETCD SAYS", "WRITES THEN")
	for _, s := range steps {
		t.Row(s.Plan, s.Action, s.Says, s.Writes)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	env.Note("from a cluster in which all members run, by %s", planRules)
	return nil
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
func runPlan(c *cli.Context, name string, from int, actions []string) ([]planStep, error) {
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
	report, err := drill.Run(c.Context, s, data, drill.Options{Engine: sim.Virtual, Seeds: &sim.Range{First: 1, Last: 1}})
	if err != nil {
		return nil, err
	}
	run := report.Run
	// That writes stop is what a plan is asked for. What ended it is not.
	if ran := len(run.Steps); ran <= len(actions) || run.Verdict == sim.Aborted || strings.HasPrefix(run.Cause, "invariant") {
		err = console.Failf("the plan %q ended at step %d of %d: %s", name, max(0, ran-1), len(actions), run.Reason)
	}
	var out []planStep
	for _, step := range run.Steps[min(1, len(run.Steps)):] {
		for _, d := range step.Done {
			p := planStep{Plan: name, Action: d.Action, Says: "ok", Writes: "-"}
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
