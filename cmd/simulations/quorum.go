package simulations

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func simQuorumCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "quorum",
		Usage: "what a cluster of N members stands, run on the raft library in virtual time",
		UsageText: "lifeboat sim quorum --members 5 --kill 2 --seeds 1..1000\n" +
			"lifeboat sim quorum table\n" +
			"lifeboat sim quorum plan --from 1 --to 3",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "members", Value: 3, Usage: "voters, `N` from 1 to 9"},
			&cli.IntFlag{Name: "kill", Value: 1, Usage: "how many die at once, the leader first, `N`"},
			&cli.StringFlag{Name: "seeds", Value: "1..100", Usage: "one run per seed of `A..B`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
			console.ProgressFlag(env),
		},
		Subcommands: []*cli.Command{simQuorumTableCommand(env), simQuorumPlanCommand(env)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return console.Usagef("unexpected argument %q", c.Args().First())
			}
			seeds, err := sim.ParseRange(c.String("seeds"))
			if err != nil {
				return console.Usagef("--seeds: %w", err)
			}
			members, kill := c.Int("members"), c.Int("kill")
			if members < 1 || members > 9 || kill < 0 || kill > members {
				return console.Usagef("--members is 1 to 9, and --kill at most as many")
			}
			phase := env.Progress.Start("running", 0)
			answer, err := drill.AskQuorum(c.Context, members, kill, seeds)
			phase.Done()
			if err != nil {
				return err
			}
			return printQuorum(env, answer)
		},
	}
}

func printQuorum(env *console.Environment, a *drill.QuorumAnswer) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(a)
	}
	return a.WriteText(env.Stdout)
}
