package etcd

import (
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

func etcdUsageCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "usage",
		Usage: "what fills the database: by resource, namespace, object; live or history",
		UsageText: "lifeboat etcd usage /var/lib/etcd\n" +
			"lifeboat etcd usage etcd-backup.snapshot --top 20 -o json",
		ArgsUsage: "SRC",
		Flags: append(console.SourceFlags(),
			&cli.IntFlag{Name: "top", Value: 10, Usage: "lines of each table, `N`"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			top := c.Int("top")
			if top < 1 {
				return console.Usagef("--top %d: it is at least 1", top)
			}
			return withSource(c, env, lifeboat.TrailerFirst, func(src *lifeboat.Backup) error { return etcdUsage(c, env, src, top) })
		},
	}
}

func etcdUsage(c *cli.Context, env *console.Environment, src *lifeboat.Backup, top int) error {
	report, err := registry.MeasureUsage(c.Context, src.DB(), src.EtcdPrefix(), top)
	if err != nil {
		return err
	}
	if env.Format != console.FormatTable {
		return env.PrintDocument(report)
	}
	return printUsage(env, report)
}

func printUsage(env *console.Environment, r *registry.Usage) error {
	out := console.NewSection(env)
	size := func(n int64) string { return humanize.Bytes(uint64(n)) }
	out.Line("%s in the file: %s live, %s history, %s free pages, the rest pages of the tree", size(r.Size), size(r.Live), size(r.History), size(r.Free))
	out.Line("compaction and defragmentation would leave about %s", size(r.AfterRepair))
	for _, part := range []struct {
		name   string
		counts []registry.UsageCount
	}{{"RESOURCE", r.Resources}, {"NAMESPACE", r.Namespaces}} {
		out.Line("")
		rows := [][]string{{part.name, "KEYS", "LIVE", "HISTORY", "RECORDS"}}
		for _, c := range part.counts[:min(len(part.counts), len(r.Largest))] {
			rows = append(rows, []string{c.Name, strconv.FormatInt(c.Keys, 10), size(c.Live), size(c.History), strconv.FormatInt(c.Records, 10)})
		}
		out.Table(rows)
		if more := len(part.counts) - len(r.Largest); more > 0 {
			out.Line("and %d more (-o json lists them)", more)
		}
	}
	for _, part := range []struct {
		name    string
		objects []registry.UsageObject
	}{{"LARGEST", r.Largest}, {"MOST CHANGED", r.Churn}} {
		out.Line("")
		rows := [][]string{{part.name, "LIVE", "HISTORY", "RECORDS"}}
		for _, o := range part.objects {
			rows = append(rows, []string{o.Key, size(o.Live), size(o.History), strconv.FormatInt(o.Records, 10)})
		}
		out.Table(rows)
	}
	return out.Err
}
