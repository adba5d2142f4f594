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

func simSchedulerCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "scheduler",
		Usage: "ask the real kube-scheduler about the Pods of a backup",
		UsageText: "lifeboat sim scheduler order kube-backup.tar.gz\n" +
			"lifeboat sim scheduler place kube-backup.tar.gz --pending\n" +
			"lifeboat sim scheduler lose kube-backup.tar.gz --zone zone-1",
		Subcommands: []*cli.Command{
			simOrderCommand(env), simThresholdCommand(env), simPlaceCommand(env), simLoseCommand(env),
		},
	}
}

func simOrderCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "order",
		Usage:     "in which order the scheduler walks over the nodes, zone by zone",
		UsageText: "lifeboat sim scheduler order kube-backup.tar.gz\nlifeboat sim scheduler order --nodes nodes.yaml --seed 7",
		ArgsUsage: "[SRC]",
		Description: "Up to 1.34 a restarted scheduler lists the nodes by name, later nodes come by\n" +
			"creation. From 1.35 on the first list comes out of a map: any order is legal,\n" +
			"and every restart may have another one (--seed N).",
		Flags: append(append(console.SourceFlags(), schedulerFlags()...),
			&cli.StringFlag{Name: "nodes", Usage: "YAML or JSON `FILE` with Nodes, in the place of SRC"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		),
		Action: func(c *cli.Context) error { return runSimOrder(c, env) },
	}
}

// orderDocument is `sim scheduler order -o json`.
type orderDocument struct {
	Order string      `json:"order"`
	Nodes []orderNode `json:"items"`
}

type orderNode struct {
	Node string `json:"node"`
	Zone string `json:"zone"`
}

func runSimOrder(c *cli.Context, env *console.Environment) error {
	if c.NArg() > 1 {
		return console.Usagef("unexpected argument %q", c.Args().Get(1))
	}
	cluster, err := simInput(c, env)
	if err != nil {
		return err
	}
	opts, err := schedulerOptionsOf(c, env, cluster)
	if err != nil {
		return err
	}
	if len(cluster.Objects.Nodes) == 0 {
		return console.Failf("%w", scheduler.ErrNoNodes)
	}
	order, err := scheduler.NodeOrder(c.Context, opts.Order.Arrange(cluster.Objects.Nodes))
	if err != nil {
		return err
	}
	zones := map[string]string{}
	for _, node := range cluster.Objects.Nodes {
		zones[node.Name] = scheduler.Zone(node)
	}
	doc := orderDocument{Order: opts.Order.String()}
	for _, name := range order {
		doc.Nodes = append(doc.Nodes, orderNode{name, zones[name]})
	}
	if env.Format != console.FormatTable {
		return joinVerdict(env.PrintDocument(doc), cluster)
	}
	t := console.NewTable(env.Stdout, "POSITION", "NODE", "ZONE")
	for i, n := range doc.Nodes {
		t.Row(strconv.Itoa(i+1), n.Node, console.OrDash(n.Zone))
	}
	env.Note("nodes arrived by %s", opts.Order)
	return joinVerdict(t.Flush(), cluster)
}

func joinVerdict(err error, cluster *backup.Cluster) error {
	if err != nil {
		return err
	}
	return cluster.Verdict()
}

// simInput reads SRC, or the Nodes of --nodes FILE.
func simInput(c *cli.Context, env *console.Environment) (*backup.Cluster, error) {
	if path := c.String("nodes"); path != "" {
		if c.NArg() > 0 {
			return nil, console.Usagef("SRC and --nodes exclude each other")
		}
		return backup.ReadNodes(path)
	}
	if c.NArg() == 0 {
		return nil, console.Usagef("SRC is missing")
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return nil, err
	}
	src, err := console.OpenSource(c.Context, env, opts, c.Args().First())
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return ReadCluster(c.Context, env, src)
}

func simThresholdCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "threshold",
		Usage:     "how many nodes are looked for and scored, and what documents say",
		UsageText: "lifeboat sim scheduler threshold\nlifeboat sim scheduler threshold --nodes 137",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "nodes", Usage: "for clusters of `N` nodes, comma-separated"},
			&cli.IntFlag{Name: "percentage", Usage: "percentageOfNodesToScore `P`, 0 for the adaptive default"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error { return runSimThreshold(c, env) },
	}
}

func runSimThreshold(c *cli.Context, env *console.Environment) error {
	if c.NArg() > 0 {
		return console.Usagef("unexpected argument %q", c.Args().First())
	}
	percentage := c.Int("percentage")
	if percentage < 0 || percentage > 100 {
		return console.Usagef("--percentage %d is none from 0 to 100", percentage)
	}
	sizes := []int32{50, 99, 100, 206, 207, 500, 1000, 2000, 3124, 5000, 5001, 5625, 15000}
	if text := c.String("nodes"); text != "" {
		sizes = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseInt(word, 10, 32)
			if err != nil || n < 1 || n > 1_000_000 {
				return console.Usagef("--nodes %q is not a number of nodes", word)
			}
			sizes = append(sizes, int32(n))
		}
	}
	rows := scheduler.Thresholds(sizes, int32(percentage))
	if env.Format != console.FormatTable {
		return env.PrintDocument(struct {
			Items []scheduler.ThresholdRow `json:"items"`
		}{rows})
	}
	t := console.NewTable(env.Stdout, "NODES", "PERCENTAGE", "FEASIBLE NODES WANTED", "DOCUMENTS SAY")
	for _, r := range rows {
		wrong := ""
		if r.Wrong() {
			wrong = " (wrong)"
		}
		t.Row(strconv.Itoa(int(r.Nodes)), fmt.Sprintf("%d%%", r.Percentage), strconv.Itoa(int(r.Wanted)), console.OrDash(r.Documented)+wrong)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	env.Note("max(100, nodes*percentage/100), all nodes below 100; the percentage is max(5, 50 - nodes/125) by default.\n" +
		"It counts nodes that fit, and the search starts where the last one ended (pkg/scheduler/schedule_one.go).")
	return nil
}
