package simulations

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func simNodelossCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "nodeloss",
		Usage: "when a lost node is noticed and emptied, and which Pods come back",
		UsageText: "lifeboat sim nodeloss kube-backup.tar.gz --node worker-1\n" +
			"lifeboat sim nodeloss kube-backup.tar.gz --node worker-1 --at runtime\n" +
			"lifeboat sim nodeloss kube-backup.tar.gz --node worker-1 --grace 10 \\\n" +
			"  --toleration 50 --to report.html",
		ArgsUsage: "SRC",
		Description: "Times count from the fault, as the median over all phases of heartbeats, with\n" +
			"the least and the most. Flags come from kube-controller-manager's manifest in\n" +
			"the backup, else from ModuleConfig control-plane-manager, else the release's\n" +
			"defaults. --grace and --toleration compare another tuning with that one.",
		Flags: append(append(console.SourceFlags(), schedulerFlags()...),
			&cli.StringSliceFlag{Name: "node", Usage: "lose node `N`; repeatable, or N,N: all at once"},
			&cli.StringFlag{Name: "at", Value: string(nodeloss.Power), Usage: "`WHAT` fails: power, network, kubelet or runtime"},
			&cli.IntFlag{Name: "grace", Usage: "compare: node monitor grace period of `SECONDS`"},
			&cli.IntFlag{Name: "toleration", Usage: "compare: default toleration of unreachable nodes, `SECONDS`"},
			&cli.IntFlag{Name: "status-report", Usage: "kubelets write their status every `SECONDS`"},
			&cli.StringFlag{Name: "to", Usage: "write the timeline as a self-contained HTML `FILE`, too"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		),
		Action: func(c *cli.Context) error { return runSimNodeloss(c, env) },
	}
}

func runSimNodeloss(c *cli.Context, env *console.Environment) error {
	path, err := console.OneArgument(c, "SRC")
	if err != nil {
		return err
	}
	lost, target := console.NamesOf(c, "node"), c.String("to")
	if len(lost) == 0 {
		return console.Usagef("say which node is lost: --node N")
	}
	if target != "" {
		if err := console.RefuseExisting(target); err != nil {
			return err
		}
	}
	srcOpts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	src, err := console.OpenSource(c.Context, env, srcOpts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	cluster, err := ReadCluster(c.Context, env, src)
	if err != nil {
		return err
	}
	opts, err := schedulerOptionsOf(c, env, cluster)
	if err != nil {
		return err
	}
	base, notes, err := cluster.Tuning(opts.Version)
	for _, note := range notes {
		env.Note("%s", note)
	}
	if err != nil {
		return err
	}
	tunings, err := tuningsOf(c, base)
	if err != nil {
		return err
	}
	reports, err := nodelossReports(c, cluster, opts, tunings, lost)
	if err != nil {
		return err
	}
	if target != "" {
		title := "Node loss: " + strings.Join(lost, ", ")
		if err := console.WriteNew(env, target, func(w io.Writer) error { return nodeloss.WriteHTML(w, title, reports...) }); err != nil {
			return err
		}
	}
	return joinVerdict(printNodeloss(env, reports), cluster)
}

// nodelossReports asks the scheduler once: where a Pod goes does not hang on
// when it goes.
func nodelossReports(c *cli.Context, cluster *backup.Cluster, opts scheduler.Options, tunings []nodeloss.Tuning, lost []string) ([]*nodeloss.Report, error) {
	loss, err := scheduler.Lose(c.Context, cluster.Objects, opts, "nodes", lost)
	switch {
	case errors.Is(err, scheduler.ErrNoSuchNode):
		return nil, console.Failf("%w", err)
	case err != nil:
		return nil, err
	}
	lostFrom, places := nodeloss.Cluster(cluster.Objects), loss.Places()
	var reports []*nodeloss.Report
	for _, tuning := range tunings {
		report, err := tuning.Forecast(lostFrom, nodeloss.Fault(c.String("at")), lost, places)
		if errors.Is(err, nodeloss.ErrTuning) {
			err = console.Usagef("%w", err)
		}
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// tuningsOf is the backup's tuning, and the one to compare it with.
func tuningsOf(c *cli.Context, base nodeloss.Tuning) ([]nodeloss.Tuning, error) {
	for _, name := range []string{"grace", "toleration", "status-report"} {
		if c.IsSet(name) && c.Int(name) < 1 {
			return nil, console.Usagef("--%s %d is not a number of seconds", name, c.Int(name))
		}
	}
	return base.Compared(console.Seconds(c, "grace"), console.Seconds(c, "toleration"), console.Seconds(c, "status-report")), nil
}

func printNodeloss(env *console.Environment, reports []*nodeloss.Report) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(struct {
			Items        []*nodeloss.Report `json:"items"`
			ModuleConfig string             `json:"moduleConfig,omitempty"` // of the last one, where it was compared
		}{reports, moduleConfigOf(reports)})
	}
	if err := nodeloss.WriteText(env.Stdout, reports...); err != nil {
		return err
	}
	for _, r := range reports {
		for _, warning := range r.Warnings() {
			env.Warn("%s", warning)
		}
	}
	env.Note("image pulls, starts and API requests are not counted: these times are what must pass, not what will")
	if slices.ContainsFunc(reports, func(r *nodeloss.Report) bool { return r.Tuning.Unreachable > 0 }) {
		env.Note("a toleration of unreachable nodes does not help a node that reports itself NotReady: see --at runtime")
	}
	if text := moduleConfigOf(reports); text != "" {
		fmt.Fprintf(env.Stdout, "\n%s is had with kubectl apply of this, which takes the place of these two settings:\n%s", reports[len(reports)-1].Tuning.Name, text)
	}
	return nil
}

// moduleConfigOf is what makes a cluster of Deckhouse like the tuning that the
// backup's was compared with; "" where nothing was compared, or no ModuleConfig
// made the backup's.
func moduleConfigOf(reports []*nodeloss.Report) string {
	if len(reports) < 2 {
		return ""
	}
	return reports[len(reports)-1].Tuning.ModuleConfig()
}
