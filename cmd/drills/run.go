package drills

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
	embedded "github.com/lifeboat-dr/lifeboat/sim/members"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
)

func drillRunCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "run drills; a verdict for each, exit 7 when one deviated",
		UsageText: "lifeboat drill run lose-1-of-3\n" +
			"lifeboat drill run lose-1-of-3 nospace-repair --seeds 1..200 --to report\n" +
			"lifeboat drill run ./my-drill.yaml --engine embedded\n" +
			"lifeboat drill run lose-1-of-3 --seeds 1..1000 --shard 0/4 --to part-0\n" +
			"lifeboat drill run lose-a-node lose-a-zone --backup kube-backup.tar.gz",
		ArgsUsage:    "FILE|NAME...",
		BashComplete: console.CompletesWith(func([]string) []string { return scenarios.Names() }),
		Flags: append(append(console.SourceFlags(), console.ShardFlags("the seeds")...),
			&cli.StringFlag{Name: "engine", Usage: "`ENGINE` to run on: virtual, embedded or nodes (default: the first that the drill lists, and with a backup the first that can start from one)"},
			&cli.StringFlag{Name: "seeds", Usage: "seeds `A..B` of the virtual engine (default: the drill's)"},
			&cli.StringFlag{Name: "backup", Usage: "the `SRC` whose data the members start from, or whose nodes are lost (default: the drill's own; not for the virtual engine)"},
			&cli.StringFlag{Name: "to", Usage: "the folder `DIR` for report.json, .md, .html, junit.xml and, of a drill that deviated, shrunk.yaml, one below it per drill; it must not exist"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error { return drillRun(c, env) },
	}
}

// loadedDrill is a drill to run.
type loadedDrill struct {
	word     string
	scenario *sim.Scenario
	data     []byte
	engine   sim.EngineName
	backup   string // SRC, "" for none

	// Of a drill that loses nodes.
	nodes   *nodes.Cluster
	missing error // objects that are no part of the answer, nil for none
}

func drillRun(c *cli.Context, env *console.Environment) (err error) {
	opts, err := drillOptions(c)
	if err != nil {
		return err
	}
	drills, err := drillsOf(c, opts.Engine)
	if err != nil {
		return err
	}
	to := c.String("to")
	if to != "" {
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
	}
	scratch := ""
	if to != "" || slices.ContainsFunc(drills, func(d loadedDrill) bool { return d.engine == sim.Embedded }) {
		lab, broken := env.Scratch(filepath.Dir(filepath.Clean(to)))
		if broken != nil {
			return broken
		}
		defer func() { err = errors.Join(err, lab.Close()) }()
		scratch = lab.Dir()
	}
	opts.Embedded = embedded.Engine{Dir: scratch}
	if err := giveBackups(c, env, drills, scratch); err != nil {
		return err
	}
	var reports []*sim.Report
	for _, d := range drills {
		report, err := runDrill(c, env, d, opts)
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	if err := finish(env, to, reports); err != nil {
		return err
	}
	for _, d := range drills {
		if d.missing != nil {
			return d.missing
		}
	}
	return nil
}

func drillOptions(c *cli.Context) (drill.Options, error) {
	o := drill.Options{Engine: sim.EngineName(c.String("engine")), Shrink: c.String("to") != ""}
	if o.Engine != "" && !slices.Contains([]sim.EngineName{sim.Virtual, sim.Embedded, sim.Nodes}, o.Engine) {
		return o, console.Usagef("--engine %q: it is virtual, embedded or nodes", o.Engine)
	}
	if text := c.String("seeds"); text != "" {
		seeds, err := sim.ParseRange(text)
		if err != nil {
			return o, console.Usagef("--seeds: %w", err)
		}
		o.Seeds = &seeds
	}
	return o, shardOf(c, &o)
}

func shardOf(c *cli.Context, o *drill.Options) (err error) {
	o.Shard, err = console.ShardOf(c)
	return err
}

// drillsOf loads all drills before the first is run, so that a mistake in the
// last does not cost the hour before it.
func drillsOf(c *cli.Context, engine sim.EngineName) ([]loadedDrill, error) {
	if c.NArg() == 0 {
		return nil, console.WithHint(console.Usagef("FILE or NAME is missing"), "lifeboat drill list")
	}
	var out []loadedDrill
	for _, word := range c.Args().Slice() {
		s, data, err := readDrill(word)
		switch {
		case err != nil:
			return nil, err
		case s.Kind == sim.KindCard:
			return nil, console.WithHint(console.Usagef("%s is a card: it is read, not run", s.Name), "lifeboat drill list -o yaml")
		case slices.ContainsFunc(out, func(d loadedDrill) bool { return d.scenario.Name == s.Name }):
			return nil, console.Usagef("two drills are named %s", s.Name)
		}
		d := loadedDrill{word: word, scenario: s, data: data, backup: backupOf(c, word, s)}
		if d.engine, err = engineOf(s, engine, d.backup); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func runDrill(c *cli.Context, env *console.Environment, d loadedDrill, opts drill.Options) (*sim.Report, error) {
	phase := env.Progress.Count("running "+d.scenario.Name, "seeds", 0)
	defer phase.Done()
	opts.Progress = func(int, int, sim.Run) { phase.Add(1) }
	opts.Source, opts.Engine = words.ShellQuote(d.word), d.engine
	if d.nodes != nil {
		opts.Nodes = d.nodes
	}
	report, err := drill.Run(c.Context, d.scenario, d.data, opts)
	if errors.Is(err, drill.ErrShard) {
		return nil, console.UsageError(err)
	}
	if errors.Is(err, drill.ErrBackup) {
		return nil, console.WithHint(console.UsageError(err), "lifeboat drill run "+words.ShellQuote(d.word)+" --backup SRC")
	}
	if report != nil {
		report.Versions["lifeboat"] = console.ReadVersion().Version
	}
	return report, err
}

// writeReports writes a folder for each drill.
func writeReports(env *console.Environment, to string, reports []*sim.Report) error {
	folder, err := console.CreateFolder(env, to)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if err := r.WriteFiles(folder.Root, r.Scenario.Name); err != nil {
			return errors.Join(fmt.Errorf("writing the report: %w", err), folder.Discard())
		}
	}
	return folder.Commit()
}

func noteShrunk(env *console.Environment, to string, reports []*sim.Report) {
	for _, r := range reports {
		if r.Shrunk != nil {
			env.Note("%s deviated; the least of it that still does (a local minimum): %s", r.Scenario.Name, filepath.Join(to, r.Scenario.Name, sim.ShrunkName))
		}
	}
}

func printReports(env *console.Environment, reports []*sim.Report) error {
	if env.Format == console.FormatTable {
		t := console.NewTable(env.Stdout, "DRILL", "ENGINE", "SEEDS", "VERDICT", "RTO MEDIAN", "RTO MAX", "LOST")
		for _, r := range reports {
			median, most, lost := "-", "-", "-"
			if r.RTO != nil {
				median, most = r.RTO.Median.Short(), r.RTO.Max.Short()
			}
			if r.RPO != nil {
				lost = r.RPO.String()
			}
			t.Row(r.Scenario.Name, string(r.Engine), strconv.Itoa(len(r.Seeds)), string(r.Verdict), median, most, lost)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	} else if err := env.PrintDocument(map[string]any{"items": reports}); err != nil {
		return err
	}
	return verdictOf(env, reports)
}

// verdictOf tells every reason, of every drill; the first drill that was not met
// decides about the exit code.
func verdictOf(env *console.Environment, reports []*sim.Report) error {
	var first error
	for _, r := range reports {
		if len(r.Run.Checked) == 0 && r.Engine != sim.Nodes && r.Verdict == sim.Met {
			env.Warn("%s: no invariant was checked: the drill lists none under always, or none that the %s engine sees", r.Scenario.Name, r.Engine)
		}
		var err error
		switch r.Verdict {
		case sim.Met:
			continue
		case sim.Deviated:
			err = console.WithHint(&console.CodedError{Code: console.ExitDeviated, Err: fmt.Errorf("%s deviated: %s", r.Scenario.Name, r.Reason)}, r.Replay)
		default:
			err = console.WithHint(console.Failf("%s was not judged (%s): %s", r.Scenario.Name, r.Verdict, r.Reason), r.Replay)
		}
		if first == nil {
			first = err
		} else {
			env.Warn("%v", err)
		}
		for _, more := range r.Run.Reasons[min(1, len(r.Run.Reasons)):] {
			env.Warn("%s: %s", r.Scenario.Name, more)
		}
	}
	return first
}
