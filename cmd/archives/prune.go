package archives

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archivePruneCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "prune",
		Usage: "remove archives from a place, and say why each of the others stays",
		UsageText: "lifeboat archive prune /mnt/backups --pubkey k.pub --keep-daily 7 --dry-run\n" +
			"lifeboat archive prune /mnt/backups --pubkey k.pub --keep-within 30d",
		ArgsUsage: "PLACE",
		Description: `Each cluster's archives are counted by themselves, in the order of etcd's
revisions: clocks and names that somebody chose push nothing out. The newest of
a cluster always stays, and so does an archive of which nobody tells the
cluster, and one that the bucket holds (object lock, legal hold). Where an
archive cannot be read nothing is removed: exit code 3.

Words are restic's. Durations are 1y6mo7d12h; months are mo, minutes are min.`,
		Flags: append([]cli.Flag{
			&cli.IntFlag{Name: "keep-last", Usage: "keep the newest `N`, -1 for all; so for the others"},
			&cli.IntFlag{Name: "keep-hourly", Usage: "keep the newest of each of the last `N` hours that have one"},
			&cli.IntFlag{Name: "keep-daily", Usage: "keep the newest of each of the last `N` days that have one"},
			&cli.IntFlag{Name: "keep-weekly", Usage: "keep the newest of each of the last `N` weeks that have one"},
			&cli.IntFlag{Name: "keep-monthly", Usage: "keep the newest of each of the last `N` months that have one"},
			&cli.IntFlag{Name: "keep-yearly", Usage: "keep the newest of each of the last `N` years that have one"},
			&cli.StringFlag{Name: "keep-within", Usage: "keep what is younger than the cluster's newest by less than `DURATION`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would go, and remove nothing"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		}, console.KeyFlags()...),
		Action: func(c *cli.Context) error {
			policy, err := policyOf(c)
			if err != nil {
				return err
			}
			list, store, err := catalogOf(c, env, lifeboat.Catalog)
			if err != nil {
				return err
			}
			decisions, err := lifeboat.PlanPrune(c.Context, store, list, policy)
			if err != nil {
				return err
			}
			if c.String("pubkey") == "" {
				env.Warn("nothing proves of which cluster the archives are: give --pubkey")
			}
			if !c.Bool("dry-run") {
				for _, d := range decisions {
					if d.Keep() {
						continue
					}
					if err := store.Remove(c.Context, d.Entry); err != nil {
						return err
					}
				}
			}
			return printPrune(env, decisions, c.Bool("dry-run"))
		},
	}
}

func policyOf(c *cli.Context) (place.Policy, error) {
	p := place.Policy{
		Last: c.Int("keep-last"), Hourly: c.Int("keep-hourly"), Daily: c.Int("keep-daily"),
		Weekly: c.Int("keep-weekly"), Monthly: c.Int("keep-monthly"), Yearly: c.Int("keep-yearly"),
	}
	if text := c.String("keep-within"); text != "" {
		var err error
		if p.Within, err = place.ParseDuration(text); err != nil {
			return p, console.Usagef("reading --keep-within: %w", err)
		}
	}
	if err := p.Validate(); err != nil {
		return p, console.WithHint(console.UsageError(err), "say what to keep: --keep-daily 7, for example")
	}
	return p, nil
}

// decided is a line of prune in JSON.
type decided struct {
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster,omitempty"`
	Revision int64    `json:"revision"`
	Action   string   `json:"action"` // keep, remove
	Reasons  []string `json:"reasons"`
}

func printPrune(env *console.Environment, decisions []place.Decision, dryRun bool) error {
	items := make([]decided, len(decisions))
	removed := 0
	for i, d := range decisions {
		items[i] = decided{d.Name, d.Cluster, d.Revision, "keep", append([]string{}, d.Reasons...)}
		if !d.Keep() {
			items[i].Action = "remove"
			removed++
		}
	}
	word := "removed"
	if dryRun {
		word = "would be removed"
	}
	env.Note("of %d archives, %d %s", len(decisions), removed, word)
	if env.Format == console.FormatJSON {
		return env.PrintDocument(map[string]any{"items": items, "dryRun": dryRun})
	}
	t := console.NewTable(env.Stdout, "ACTION", "CLUSTER", "TIME", "NAME", "REASONS")
	for i, d := range decisions {
		t.Row(items[i].Action, console.OrDash(d.Cluster), d.Time.Format("2006-01-02T15:04:05Z07:00"), d.Name, console.OrDash(strings.Join(d.Reasons, ", ")))
	}
	return t.Flush()
}
