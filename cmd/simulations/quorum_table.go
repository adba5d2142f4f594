package simulations

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func simQuorumTableCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "table", Usage: "sizes 1 to 9: quorum, and how many losses were stood in a run",
		UsageText: "lifeboat sim quorum table",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "seeds", Value: "1..3", Usage: "one run per seed of `A..B`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error {
			seeds, err := sim.ParseRange(c.String("seeds"))
			if err != nil {
				return console.Usagef("--seeds: %w", err)
			}
			return quorumTable(c, env, seeds)
		},
	}
}

func quorumTable(c *cli.Context, env *console.Environment, seeds sim.Range) error {
	phase := env.Progress.Start("running sizes 1 to 9", 0)
	defer phase.Done()
	rows, err := drill.QuorumTable(c.Context, seeds)
	if err != nil {
		return err
	}
	phase.Done()
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"items": rows})
	}
	return drill.WriteQuorumTable(env.Stdout, rows)
}
