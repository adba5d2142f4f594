package simulations

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
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

// quorumPlan runs the safe order and the hasty one, and tells what was said.
func quorumPlan(c *cli.Context, env *console.Environment, from, to int) error {
	steps, ended := drill.PlanQuorum(c.Context, from, to)
	if err := printPlan(env, steps); err != nil {
		return err
	}
	return ended
}

func printPlan(env *console.Environment, steps []drill.PlanStep) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"items": steps, "rules": drill.PlanRules})
	}
	if err := drill.WritePlan(env.Stdout, steps); err != nil {
		return err
	}
	env.Note("from a cluster in which all members run, by %s", drill.PlanRules)
	return nil
}
