package drills

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

func drillSearchCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "search", Usage: "run random drills until one deviates, and shrink that one",
		UsageText: "lifeboat drill search lose-1-of-3 --seeds 1..1000 --to found\n" +
			"lifeboat drill search ./my-drill.yaml --seeds 1..1000 --shard 0/4 --to part-0",
		ArgsUsage:    "FILE|NAME",
		BashComplete: console.CompletesWith(func([]string) []string { return scenarios.Names() }),
		Description: "The drill gives the members, how a healthy cluster is told, and the invariants;\n" +
			"its steps are not run. Each seed draws its own: kills, cuts, losses, pauses,\n" +
			"elections in which somebody dies after its vote. What is found is shrunk.",
		Flags: append(console.ShardFlags("the seeds"),
			&cli.StringFlag{Name: "seeds", Value: "1..100", Usage: "seeds `A..B`, a drill each"},
			&cli.IntFlag{Name: "steps", Value: 20, Usage: "`N` faults in each drill"},
			&cli.StringFlag{Name: "to", Usage: "the folder `DIR` for report.json, .md, .html, junit.xml and shrunk.yaml; it must not exist"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		),
		Action: func(c *cli.Context) error { return drillSearch(c, env) },
	}
}

func drillSearch(c *cli.Context, env *console.Environment) error {
	word, err := console.OneArgument(c, "FILE or NAME")
	if err != nil {
		return err
	}
	opts, err := drillOptions(c)
	if err != nil {
		return err
	}
	s, _, err := readDrill(word)
	if err != nil {
		return err
	}
	to := c.String("to")
	if to != "" {
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
	}
	seeds, err := sim.ParseRange(c.String("seeds"))
	if err != nil {
		return console.Usagef("--seeds: %w", err)
	}
	phase := env.Progress.Count("searching with "+s.Name, "seeds", int64(seeds.Last-seeds.First+1))
	opts.Source, opts.Progress = words.ShellQuote(word), func(int, int, sim.Run) { phase.Add(1) }
	report, err := drill.Search(c.Context, s, seeds, c.Int("steps"), opts)
	phase.Done()
	if errors.Is(err, drill.ErrSearch) || errors.Is(err, drill.ErrShard) {
		return console.UsageError(err)
	}
	if err != nil {
		return err
	}
	report.Versions["lifeboat"] = console.ReadVersion().Version
	return finish(env, to, []*sim.Report{report})
}

// finish writes reports to a folder, if there is one, and prints them.
func finish(env *console.Environment, to string, reports []*sim.Report) error {
	if to != "" {
		if err := writeReports(env, to, reports); err != nil {
			return err
		}
		noteShrunk(env, to, reports)
	}
	return printReports(env, reports)
}

func drillMergeCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "merge", Usage: "join the reports of all shards of a run into one",
		UsageText: "lifeboat drill merge part-0 part-1 part-2 part-3 --to report",
		ArgsUsage: "DIR...",
		Description: "DIR is what --to was of drill run or drill search with --shard. The result is,\n" +
			"byte for byte, what one run over all seeds would have written. A shard that is\n" +
			"missing, there twice, or of another drill or version is refused.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the folder `DIR` for the joined reports; it must not exist"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return console.Usagef("DIR is missing: the reports of the shards")
			}
			to := c.String("to")
			if to != "" {
				if err := console.RefuseExisting(to); err != nil {
					return err
				}
			}
			merged, err := sim.MergeDirs(c.Args().Slice())
			if errors.Is(err, sim.ErrMerge) {
				return console.Refusef("%w", err)
			}
			if err != nil {
				return fmt.Errorf("merging: %w", err)
			}
			return finish(env, to, merged)
		},
	}
}
