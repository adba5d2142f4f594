package simulations

import (
	"fmt"
	"strconv"
	"strings"

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
			"lifeboat sim scheduler place kube-backup.tar.gz --pending --seeds 1..50",
		ArgsUsage: "SRC [NAME...]",
		Description: "A Pod that has a node is taken off it and placed again. Nothing is asked of a\n" +
			"cluster: extenders and mutating admission have no say.",
		Flags: append(append(console.SourceFlags(), schedulerFlags()...),
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "NAME is in this `NAMESPACE`"},
			&cli.BoolFlag{Name: "pending", Usage: "all Pods that have no node"},
			&cli.StringFlag{Name: "pod", Usage: "a Pod manifest `FILE`, as it would be created"},
			&cli.IntFlag{Name: "replicas", Value: 1, Usage: "place `N` copies of --pod"},
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
	cluster, err := simInput(c, env)
	if err != nil {
		return err
	}
	opts, err := schedulerOptionsOf(c, env, cluster.Version)
	if err != nil {
		return err
	}
	opts.AllReasons = c.Bool("all-reasons")
	pods, err := podsToPlace(c, cluster)
	if err != nil {
		return err
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
	var placements []*scheduler.Placement
	for _, pod := range scheduler.ByQueue(pods) {
		placed, err := sim.Place(pod, true)
		if err != nil {
			return err
		}
		placements = append(placements, placed)
	}
	return joinVerdict(printPlacements(env, sim, opts, placements), cluster)
}

// podsToPlace finds the Pods that were asked for. Those of the backup are
// taken out of the cluster: each is the next one in the queue.
func podsToPlace(c *cli.Context, cluster *backup.Cluster) (backup.Pods, error) {
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
			return nil, console.Usagef("--replicas %d is no number of Pods", replicas)
		}
		return cluster.PodsInFile(file, c.String("namespace"), replicas)
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

func printPlacements(env *console.Environment, sim *scheduler.Simulator, opts scheduler.Options, placements []*scheduler.Placement) error {
	if env.Format == console.FormatJSON || env.Format == console.FormatYAML {
		return env.PrintDocument(placementsDocument{scheduler.Library, opts.Order.String(), sim.NodeOrder(), placements})
	}
	for i, p := range placements {
		if i > 0 {
			fmt.Fprintln(env.Stdout)
		}
		if err := printPlacement(env, p); err != nil {
			return err
		}
	}
	env.Note("judged by kube-scheduler %s; nodes arrived by %s", scheduler.Library, opts.Order)
	return nil
}

// printPlacement shows one Pod: the decision, then the nodes in the order in
// which they were looked at.
func printPlacement(env *console.Environment, p *scheduler.Placement) error {
	line := func(format string, args ...any) {
		fmt.Fprintln(env.Stdout, console.Printable(fmt.Sprintf(format, args...)))
	}
	switch {
	case p.Node == "":
		line("%s: stays Pending", p.Pod)
	case len(p.Ties) > 0:
		line("%s: %s, one of %d with the best score: %s", p.Pod, p.Node, len(p.Ties), strings.Join(p.Ties, ", "))
	case p.Feasible == 1:
		line("%s: %s, the only node that fits", p.Pod, p.Node)
	default:
		line("%s: %s, ahead by %d", p.Pod, p.Node, p.Margin)
	}
	if p.Message != "" {
		line("  %s", p.Message)
	}
	if p.Preemption != nil {
		line("  preempts on %s: %s (%d against a PodDisruptionBudget)", p.Preemption.Node, strings.Join(p.Preemption.Victims, ", "), p.Preemption.Violations)
	}
	if len(p.Nodes) == 0 {
		return nil
	}
	if p.Start >= 0 {
		line("  began at position %d, stops after %d that fit: looked at %d, %d fit", p.Start+1, p.Wanted, p.Filtered, p.Feasible)
	}
	t := console.NewTable(env.Stdout, placementHeader(env.Format == console.FormatWide)...)
	for _, v := range p.Nodes {
		t.Row(placementCells(v, env.Format == console.FormatWide)...)
	}
	return t.Flush()
}

func placementHeader(wide bool) []string {
	header := []string{"  POSITION", "NODE", "RANK", "TOTAL"}
	if wide {
		return append(header, "PLUGIN raw>normalized>weighted, OR WHAT IS AGAINST IT")
	}
	return append(header, "WHAT IS AGAINST IT")
}

func placementCells(v scheduler.NodeVerdict, wide bool) []string {
	cells := []string{"  " + strconv.Itoa(v.Position+1), v.Node, "-", "-"}
	if v.Rank > 0 {
		cells[2], cells[3] = strconv.Itoa(v.Rank), strconv.FormatInt(v.Total, 10)
	}
	var words []string
	for _, r := range v.Against {
		text := strings.Join(r.Reasons, "; ")
		if r.Plugin != "" { // a PreFilter's choice of nodes names its plugin in the text
			text = r.Plugin + ": " + text
		}
		words = append(words, text)
	}
	switch {
	case v.Skipped:
		words = append(words, "not looked at")
	case wide:
		for _, s := range v.Scores {
			words = append(words, fmt.Sprintf("%s %d>%d>%d", s.Plugin, s.Raw, s.Normalized, s.Weighted))
		}
	}
	return append(cells, console.OrDash(strings.Join(words, ", ")))
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
	t := console.NewTable(env.Stdout, "POD", "ANSWER", "TIES", "NODES")
	for _, r := range result {
		answer := "a coin flip"
		if r.Stable {
			answer = "stable"
		}
		var shares []string
		for _, s := range r.Shares {
			node := s.Node
			if node == "" {
				node = "<pending>"
			}
			shares = append(shares, fmt.Sprintf("%s %d%%", node, s.Runs*100/len(seeds)))
		}
		t.Row(r.Pod, answer, fmt.Sprintf("%d/%d", r.Ties, len(seeds)), strings.Join(shares, ", "))
	}
	return joinVerdict(t.Flush(), cluster)
}
