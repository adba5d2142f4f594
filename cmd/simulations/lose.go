package simulations

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func simLoseCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "lose",
		Usage: "lose nodes or a zone: what fits where, what stays Pending and why",
		UsageText: "lifeboat sim scheduler lose kube-backup.tar.gz --node worker-1\n" +
			"lifeboat sim scheduler lose kube-backup.tar.gz --zone zone-1\n" +
			"lifeboat sim scheduler lose kube-backup.tar.gz --each\n" +
			"lifeboat sim scheduler lose kube-backup.tar.gz --drain --node node-1",
		ArgsUsage: "SRC",
		Description: "Everything that would be made again is placed again, the highest priority\n" +
			"first. Pods of a StatefulSet count as deleted by hand: without that they\n" +
			"never come back. With --drain the nodes live: Pods are evicted as their\n" +
			"PodDisruptionBudgets allow, as kubectl drain does.",
		Flags: append(append(console.SourceFlags(), schedulerFlags()...),
			&cli.StringSliceFlag{Name: "node", Usage: "lose node `N`; repeatable, or N,N: all at once"},
			&cli.StringFlag{Name: "zone", Usage: "lose all nodes of zone `Z`"},
			&cli.BoolFlag{Name: "each", Usage: "try every node and every zone, the worst first"},
			&cli.BoolFlag{Name: "drain", Usage: "drain --node or --zone instead: cordoned first, budgets asked"},
			&cli.StringFlag{Name: "add-node", Usage: "first add the Nodes of a YAML or JSON `FILE` to the cluster"},
			&cli.IntFlag{Name: "count", Value: 1, Usage: "add `N` copies of each --add-node"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		),
		Action: func(c *cli.Context) error { return runSimLose(c, env) },
	}
}

func runSimLose(c *cli.Context, env *console.Environment) error {
	if _, err := console.OneArgument(c, "SRC"); err != nil {
		return err
	}
	given := 0
	for _, name := range []string{"node", "zone", "each"} {
		if c.IsSet(name) {
			given++
		}
	}
	if given != 1 {
		return console.Usagef("say what to lose: --node N, --zone Z or --each")
	}
	if c.Bool("drain") && c.Bool("each") {
		return console.Usagef("--drain empties --node N or --zone Z, not each of all")
	}
	cluster, err := simInput(c, env)
	if err == nil {
		err = addNodes(c, cluster)
	}
	if err != nil {
		return err
	}
	opts, err := schedulerOptionsOf(c, env, cluster)
	if err != nil {
		return err
	}
	targets, err := targetsOf(c, cluster)
	if err != nil {
		return err
	}
	losses, err := playLosses(c, env, cluster, opts, targets)
	if err != nil {
		return err
	}
	if c.Bool("each") {
		slices.SortStableFunc(losses, scheduler.WorstFirst)
	}
	return joinVerdict(printLosses(env, losses, opts, c.Bool("each")), cluster)
}

func playLosses(c *cli.Context, env *console.Environment, cluster *backup.Cluster, opts scheduler.Options, targets []scheduler.Target) (losses []*scheduler.Loss, err error) {
	phase := env.Progress.Count("losing nodes", "losses", int64(len(targets)))
	defer phase.Done()
	if c.Bool("drain") {
		drained, err := scheduler.Drain(c.Context, cluster.Objects, opts, targets[0].Name, targets[0].Nodes)
		losses = append(losses, drained)
		return losses, noPods(err)
	}
	losses, err = scheduler.LoseEach(c.Context, cluster.Objects, opts, targets, func(*scheduler.Loss) { phase.Add(1) })
	return losses, noPods(err)
}

// noPods is a failure of its own: a loss of nothing proves nothing.
func noPods(err error) error {
	if errors.Is(err, scheduler.ErrNoPods) {
		return console.Failf("not checked: %w", err)
	}
	return err
}

// addNodes adds --add-node FILE to the cluster.
func addNodes(c *cli.Context, cluster *backup.Cluster) error {
	path, n := c.String("add-node"), c.Int("count")
	switch {
	case path == "" && c.IsSet("count"):
		return console.Usagef("--count is of --add-node FILE")
	case path == "":
		return nil
	case n < 1 || n > 10_000:
		return console.Usagef("--count %d is not a number of nodes", n)
	}
	return cluster.AddNodes(path, n)
}

func targetsOf(c *cli.Context, cluster *backup.Cluster) ([]scheduler.Target, error) {
	nodes := cluster.Objects.Nodes
	if len(nodes) == 0 {
		return nil, console.Failf("%w", scheduler.ErrNoNodes)
	}
	if c.Bool("each") {
		return scheduler.Targets(nodes), nil
	}
	target, err := scheduler.NodeTarget(nodes, console.NamesOf(c, "node")...)
	if zone := c.String("zone"); zone != "" {
		target, err = scheduler.ZoneTarget(nodes, zone)
	}
	if err != nil {
		return nil, console.Failf("%w", err)
	}
	return []scheduler.Target{target}, nil
}

func printLosses(env *console.Environment, losses []*scheduler.Loss, opts scheduler.Options, each bool) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(struct {
			Scheduler string            `json:"scheduler"`
			Order     string            `json:"order"`
			Items     []*scheduler.Loss `json:"items"`
		}{scheduler.Library, opts.Order.String(), losses})
	}
	defer env.Note("judged by kube-scheduler %s; nodes arrived by %s", scheduler.Library, opts.Order)
	if !each {
		return losses[0].WriteText(env.Stdout)
	}
	return scheduler.WriteLosses(env.Stdout, losses)
}
