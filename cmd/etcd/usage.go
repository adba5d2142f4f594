package etcd

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
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
			return withSource(c, env, console.TrailerFirst, func(src *console.Source) error { return etcdUsage(c, env, src, top) })
		},
	}
}

// usageReport is where a database's bytes are. Bytes are those of etcd's
// records; bbolt's pages take some more.
type usageReport struct {
	Size        int64 `json:"dbSize"`
	SizeInUse   int64 `json:"dbSizeInUse"`
	Free        int64 `json:"freeBytes"`    // pages that a defragmentation gives back
	Live        int64 `json:"liveBytes"`    // newest records of living keys
	History     int64 `json:"historyBytes"` // older records and deletions, which a compaction drops
	AfterRepair int64 `json:"estimateAfterCompactAndDefrag"`

	Resources  []usageCount  `json:"resources"`
	Namespaces []usageCount  `json:"namespaces"`
	Largest    []usageObject `json:"largest"`
	Churn      []usageObject `json:"churn"` // the most records of one key
}

type usageCount struct {
	Name    string `json:"name"`
	Keys    int64  `json:"keys"`
	Live    int64  `json:"liveBytes"`
	History int64  `json:"historyBytes"`
	Records int64  `json:"records"`
}

type usageObject struct {
	Key     string `json:"key"`
	Records int64  `json:"records"`
	Live    int64  `json:"liveBytes"`
	History int64  `json:"historyBytes"`
}

func etcdUsage(c *cli.Context, env *console.Environment, src *console.Source, top int) error {
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	prefix := opts.EtcdPrefix
	if prefix == "" && src.Control != nil {
		prefix = src.Control.EtcdPrefix()
	}
	if prefix == "" {
		prefix = registry.DefaultPrefix
	}
	report, err := measureUsage(c.Context, src.Db, prefix, top)
	if err != nil {
		return err
	}
	if env.Format != console.FormatTable {
		return env.PrintDocument(report)
	}
	return report.print(env)
}

// measureUsage reads every record once, the newest first: the first of a key
// says whether it lives. It holds a line per key.
func measureUsage(ctx context.Context, db *snapshot.DB, prefix string, top int) (*usageReport, error) {
	info, err := db.Status()
	if err != nil {
		return nil, err
	}
	r := &usageReport{Size: info.Size, SizeInUse: info.SizeInUse, Free: info.Size - info.SizeInUse}
	objects := map[string]*usageObject{}
	for rec, err := range db.Records(ctx, 0) {
		if err != nil {
			return nil, err
		}
		o, known := objects[string(rec.Key)]
		if !known {
			o = &usageObject{Key: string(rec.Key)}
			objects[o.Key] = o
		}
		o.Records++
		if !known && !rec.Deleted {
			o.Live = int64(rec.Size)
		} else {
			o.History += int64(rec.Size)
		}
	}
	r.tally(objects, prefix, top)
	// What compaction and defragmentation leave is what lives, and of the rest
	// of the file what is no record.
	r.AfterRepair = max(0, r.SizeInUse-r.History)
	return r, nil
}

func (r *usageReport) tally(objects map[string]*usageObject, prefix string, top int) {
	resources, namespaces := map[string]*usageCount{}, map[string]*usageCount{}
	all := make([]usageObject, 0, len(objects))
	for path, o := range objects {
		resource, namespace := "(other)", "(other)"
		if key, err := registry.ParseKey(prefix, path); err == nil {
			resource, namespace = key.Resource(), key.Namespace
			if namespace == "" {
				namespace = "(cluster)"
			}
		}
		r.Live, r.History = r.Live+o.Live, r.History+o.History
		addUsage(resources, resource, o)
		addUsage(namespaces, namespace, o)
		all = append(all, *o)
	}
	r.Resources, r.Namespaces = sortUsage(resources), sortUsage(namespaces)
	r.Largest = topUsage(all, top, func(o usageObject) int64 { return o.Live })
	r.Churn = topUsage(all, top, func(o usageObject) int64 { return o.Records })
}

func addUsage(counts map[string]*usageCount, name string, o *usageObject) {
	c, ok := counts[name]
	if !ok {
		c = &usageCount{Name: name}
		counts[name] = c
	}
	if o.Live > 0 {
		c.Keys++
	}
	c.Live, c.History, c.Records = c.Live+o.Live, c.History+o.History, c.Records+o.Records
}

func sortUsage(counts map[string]*usageCount) []usageCount {
	sorted := make([]usageCount, 0, len(counts))
	for _, c := range counts {
		sorted = append(sorted, *c)
	}
	slices.SortFunc(sorted, func(a, b usageCount) int {
		return cmp.Or(cmp.Compare(b.Live+b.History, a.Live+a.History), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

func topUsage(all []usageObject, top int, by func(usageObject) int64) []usageObject {
	slices.SortFunc(all, func(a, b usageObject) int {
		return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(a.Key, b.Key))
	})
	return slices.Clone(all[:min(top, len(all))])
}

func (r *usageReport) print(env *console.Environment) error {
	out := console.NewSection(env)
	size := func(n int64) string { return humanize.Bytes(uint64(n)) }
	out.Line("%s in the file: %s live, %s history, %s free pages, the rest pages of the tree", size(r.Size), size(r.Live), size(r.History), size(r.Free))
	out.Line("compaction and defragmentation would leave about %s", size(r.AfterRepair))
	for _, part := range []struct {
		name   string
		counts []usageCount
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
		objects []usageObject
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
