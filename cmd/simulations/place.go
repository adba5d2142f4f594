package simulations

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/sim/backup"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func simPlaceCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "place",
		Usage: "where Pods would go, and why: every filter, every score",
		UsageText: "lifeboat sim scheduler place kube-backup.tar.gz --pending\n" +
			"lifeboat sim scheduler place kube-backup.tar.gz web-0 -n infra-production\n" +
			"lifeboat sim scheduler place kube-backup.tar.gz --pod pod.yaml --replicas 3\n" +
			"lifeboat sim scheduler place kube-backup.tar.gz --pod pod.yaml --fit\n" +
			"lifeboat sim scheduler place b.tar.gz --pending --add-node n.yaml --count 3\n" +
			"lifeboat sim scheduler place kube-backup.tar.gz --pending --seeds 1..50",
		ArgsUsage: "SRC [NAME...]",
		Description: "A Pod that has a node is taken off it and placed again; one that waits keeps\n" +
			"its claims and its nomination. A manifest passes LimitRanger, RuntimeClass,\n" +
			"Priority and the default tolerations; extenders, quotas and webhooks have no\n" +
			"say. Several Pods are a line each: --explain, or -o wide, adds a row per node.",
		Flags: append(append(console.SourceFlags(), schedulerFlags()...),
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "NAME is in this `NAMESPACE`"},
			&cli.BoolFlag{Name: "pending", Usage: "all Pods that have no node"},
			&cli.StringFlag{Name: "pod", Usage: "a Pod manifest `FILE`, as it would be created"},
			&cli.IntFlag{Name: "replicas", Value: 1, Usage: "place `N` copies of --pod"},
			&cli.BoolFlag{Name: "fit", Usage: "how many more of --pod fit, pushing nobody out"},
			&cli.StringFlag{Name: "add-node", Usage: "first add the Nodes of a YAML or JSON `FILE` to the cluster"},
			&cli.IntFlag{Name: "count", Value: 1, Usage: "add `N` copies of each --add-node"},
			&cli.BoolFlag{Name: "fail-on-pending", Usage: "exit 7 when a Pod stays Pending"},
			&cli.BoolFlag{Name: "explain", Usage: "a row per node for each Pod, also of several"},
			&cli.BoolFlag{Name: "all-reasons", Usage: "every filter that refuses a node, not only the first"},
			&cli.StringFlag{Name: "seeds", Usage: "place once per node order of seeds `A..B`: which answers hold"},
			console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatJSON, console.FormatYAML),
		),
		Action: func(c *cli.Context) error { return runSimPlace(c, env) },
	}
}

func runSimPlace(c *cli.Context, env *console.Environment) error {
	if c.NArg() == 0 {
		return console.Usagef("SRC is missing; as in: lifeboat sim scheduler place kube-backup.tar.gz --pending")
	}
	if c.Bool("fit") && (c.String("pod") == "" || c.IsSet("replicas") || c.String("seeds") != "") {
		return console.Usagef("--fit asks about one --pod FILE, without --replicas and --seeds")
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
	opts.AllReasons = c.Bool("all-reasons")
	pods, err := podsToPlace(c, env, cluster)
	if err != nil {
		return err
	}
	if c.Bool("fit") {
		return runSimFit(c, env, cluster, opts, pods)
	}
	if len(pods) == 0 {
		env.Note("no Pod of the backup is without a node")
		return cluster.Verdict()
	}
	if seeds := c.String("seeds"); seeds != "" {
		return runSimSeeds(c, env, cluster, opts, pods, seeds)
	}
	sim, err := scheduler.New(c.Context, cluster.Objects, opts)
	if err != nil {
		return err
	}
	defer sim.Close()
	detail := len(pods) == 1 || c.Bool("explain") || c.Bool("all-reasons") || env.Format == console.FormatWide
	placements, err := placeAll(env, sim, pods, detail)
	if err != nil {
		return err
	}
	err = joinVerdict(printPlacements(env, sim, opts, placements, detail), cluster)
	if n := scheduler.Waiting(placements); err == nil && n > 0 && c.Bool("fail-on-pending") {
		return &console.CodedError{Code: console.ExitDeviated, Err: fmt.Errorf("%d of %d Pods stay Pending", n, len(placements))}
	}
	return err
}

func placeAll(env *console.Environment, sim *scheduler.Simulator, pods backup.Pods, detail bool) ([]*scheduler.Placement, error) {
	phase := env.Progress.Count("placing Pods", "Pods", int64(len(pods)))
	defer phase.Done()
	var placements []*scheduler.Placement
	for _, pod := range scheduler.ByQueue(pods) {
		placed, err := sim.Place(pod, detail)
		if err != nil {
			return nil, err
		}
		placements = append(placements, placed)
		phase.Add(1)
	}
	return placements, nil
}

// mostFit bounds --fit: beyond it the answer is "at least".
const mostFit = 100_000

func runSimFit(c *cli.Context, env *console.Environment, cluster *backup.Cluster, opts scheduler.Options, pods backup.Pods) error {
	if len(pods) != 1 {
		return console.Usagef("--fit asks about one Pod, and %q holds %d", c.String("pod"), len(pods))
	}
	fit, err := scheduler.HowMany(c.Context, cluster.Objects, opts, pods[0], mostFit)
	if err != nil {
		return err
	}
	if env.Format == console.FormatJSON || env.Format == console.FormatYAML {
		return joinVerdict(env.PrintDocument(fit), cluster)
	}
	return joinVerdict(fit.WriteText(env.Stdout), cluster)
}

// podsToPlace finds the Pods that were asked for. Those of the backup are
// taken out of the cluster: each is the next one in the queue.
func podsToPlace(c *cli.Context, env *console.Environment, cluster *backup.Cluster) (backup.Pods, error) {
	names, file, pending := c.Args().Tail(), c.String("pod"), c.Bool("pending")
	given := 0
	for _, is := range []bool{len(names) > 0, file != "", pending} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, console.Usagef("say which Pods to place: NAME, --pending or --pod FILE")
	case file != "":
		replicas := c.Int("replicas")
		if replicas < 1 || replicas > 100_000 {
			return nil, console.Usagef("--replicas %d is not a number of Pods", replicas)
		}
		pods, err := cluster.PodsInFile(file, c.String("namespace"), replicas)
		if err == nil && len(pods) == 0 {
			return nil, console.Failf("reading %q: there is no Pod in it", file)
		}
		for _, name := range cluster.NotAsked(pods) {
			env.Warn("%s is not asked: what it would change or refuse is not in the answer", name)
		}
		return pods, err
	case pending:
		return cluster.TakePending(), nil
	}
	return cluster.TakeNamed(c.String("namespace"), names)
}

// placementsDocument is `sim scheduler place -o json`.
type placementsDocument struct {
	Scheduler string                 `json:"scheduler"`
	Order     string                 `json:"order"`
	NodeOrder []string               `json:"nodeOrder"`
	Items     []*scheduler.Placement `json:"items"`
}

func printPlacements(env *console.Environment, sim *scheduler.Simulator, opts scheduler.Options, placements []*scheduler.Placement, detail bool) error {
	if env.Format == console.FormatJSON || env.Format == console.FormatYAML {
		return env.PrintDocument(placementsDocument{scheduler.Library, opts.Order.String(), sim.NodeOrder(), placements})
	}
	write := scheduler.WriteSummary
	if detail {
		write = scheduler.WritePlacements
	}
	if err := write(env.Stdout, placements, env.Format == console.FormatWide); err != nil {
		return err
	}
	env.Note("judged by kube-scheduler %s; nodes arrived by %s", scheduler.Library, opts.Order)
	return nil
}

func runSimSeeds(c *cli.Context, env *console.Environment, cluster *backup.Cluster, opts scheduler.Options, pods backup.Pods, text string) error {
	seeds, err := scheduler.ParseSeeds(text)
	if err != nil {
		return console.UsageError(err)
	}
	result, err := scheduler.Spread(c.Context, cluster.Objects, opts, pods, seeds)
	if err != nil {
		return err
	}
	if env.Format == console.FormatJSON || env.Format == console.FormatYAML {
		return joinVerdict(env.PrintDocument(struct {
			Runs  int                   `json:"runs"`
			Items []scheduler.Stability `json:"items"`
		}{len(seeds), result}), cluster)
	}
	return joinVerdict(scheduler.WriteStability(env.Stdout, result, len(seeds)), cluster)
}
