package objects

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// HistoryCommand is `lifeboat history`.
func HistoryCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "history",
		Usage: "what happened to objects, by whom and when, as far back as a backup goes",
		UsageText: "lifeboat history kube-backup.tar.gz deploy/web -n infra-production\n" +
			"lifeboat history kube-backup.tar.gz cm settings -n infra -o diff\n" +
			"lifeboat history kube-backup.tar.gz cm settings -n infra -o yaml --rev 1211\n" +
			"lifeboat history kube-backup.tar.gz deploy -n infra --since '20:30'\n" +
			"lifeboat history kube-backup.tar.gz -n infra --to history.html\n" +
			"lifeboat history kube-backup.tar.gz -n infra --older yesterday.tar.gz -o json",
		ArgsUsage:    "SRC [KIND [NAME...] | KIND/NAME...]",
		BashComplete: console.CompletesWith(console.KindAfterSource),
		Description: `The newest change comes first. A Secret's values are shown as digests, by which
they can be told apart. Who deleted an object stands in the audit log alone.
Of a data dir, what was compacted may still stand in etcd's log: it is shown as
"attempted" where nothing proves that it was carried out.`,
		Flags: append(console.SourceFlags(), console.OlderFlag(),
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "of this `NAMESPACE` (default: of all)"},
			&cli.StringFlag{Name: "since", Usage: "changes after this `TIME`, as --at of get takes it"},
			&cli.StringFlag{Name: "until", Usage: "changes up to this `TIME`"},
			&cli.Int64Flag{Name: "rev", Usage: "the change of revision `N` alone"},
			&cli.StringFlag{Name: "to", Usage: "write a new HTML `FILE` for the incident review: one page, no script"},
			&cli.BoolFlag{Name: "show-secrets", Usage: "show the values of Secrets"},
			console.OutputFlag(env, console.FormatTable, console.FormatDiff, console.FormatYAML, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runHistory(c, env) },
	}
}

func runHistory(c *cli.Context, env *console.Environment) error {
	if c.NArg() == 0 {
		return console.Usagef("SRC is missing; as in: lifeboat history kube-backup.tar.gz deploy/web -n infra")
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	words, refs, err := registry.ParseRefs(c.Args().Tail())
	if err != nil {
		return console.UsageError(err)
	}
	if words == "" && c.String("namespace") == "" {
		return console.Usagef("say of what: KIND, KIND/NAME or -n NAMESPACE")
	}
	rev, to := c.Int64("rev"), c.String("to")
	switch {
	case c.IsSet("rev") && rev <= 0:
		return console.Usagef("--rev %d is no revision", rev)
	case env.Format == console.FormatYAML && !c.IsSet("rev"):
		return console.Usagef("-o yaml is one state: say which with --rev N")
	case to != "" && to != "-":
		if err := console.RefuseExisting(to); err != nil {
			return err
		}
	}
	src, err := console.OpenWithOlder(c, env, opts, c.Args().First())
	if err != nil {
		return err
	}
	defer src.Close()
	timeline, err := src.Timeline(c.Context, lifeboat.TimelineOptions{
		Words: words, Refs: refs, Namespace: c.String("namespace"), Since: c.String("since"), Until: c.String("until"),
	})
	if err != nil {
		return err
	}
	if rev > 0 {
		timeline.Only(rev)
	}
	if timeline.Len() == 0 {
		if refs != nil {
			w := src.History().Windows()
			return console.Failf("the history holds no change of %s: it reaches from revision %d to %d", strings.Join(c.Args().Tail(), " "), w[len(w)-1].First, w[0].Last)
		}
		env.Note("no changes found")
	}
	for _, w := range src.History().Windows()[1:] {
		env.Note("what happened after revision %d is unknown up to the next older revision shown", w.Last)
	}
	if to != "" {
		return writePage(c, env, src, timeline)
	}
	return printHistory(c, env, timeline)
}

// writePage writes the HTML page.
func writePage(c *cli.Context, env *console.Environment, src *lifeboat.Backup, timeline *registry.Timeline) error {
	opts := registry.PageOptions{
		Title: "What happened: " + strings.Join(append(c.Args().Tail(), c.String("namespace")), " ") + " in " + c.Args().First(), ShowSecrets: c.Bool("show-secrets"), Windows: src.History().Windows(),
	}
	encode := func(w io.Writer) error { return timeline.WritePage(c.Context, w, opts) }
	if c.String("to") == "-" {
		return encode(env.Stdout)
	}
	return console.WriteNew(env, c.String("to"), encode)
}

func printHistory(c *cli.Context, env *console.Environment, timeline *registry.Timeline) error {
	show := c.Bool("show-secrets")
	rows := []registry.HistoryRow{}
	table := console.NewTable(env.Stdout)
	if env.Format == console.FormatTable {
		table.Row(registry.HistoryColumns()...)
	}
	unreadable := 0
	for step, err := range timeline.Steps(c.Context) {
		if err != nil {
			return err
		}
		if step.After != nil && !step.After.Readable() {
			unreadable++
		}
		switch env.Format {
		case console.FormatJSON:
			rows = append(rows, step.Row(show))
		case console.FormatDiff:
			text, err := step.Unified(show)
			if err == nil {
				_, err = fmt.Fprint(env.Stdout, text)
			}
			if err != nil {
				return err
			}
		case console.FormatYAML:
			text, err := step.YAML(show)
			switch {
			case err != nil:
				return err
			case text == "" && step.Event == registry.Deleted:
				return console.Failf("revision %d deleted %s", step.Revision, step.Subject())
			case text == "":
				return console.Incompletef("%s cannot be read: it is locked or damaged", step.Subject())
			}
			if _, err := fmt.Fprint(env.Stdout, text); err != nil {
				return err
			}
		default:
			table.Row(step.Columns(show)...)
		}
	}
	if env.Format == console.FormatJSON {
		if err := env.PrintDocument(map[string]any{"items": rows}); err != nil {
			return err
		}
	} else if err := table.Flush(); err != nil {
		return err
	}
	if unreadable > 0 {
		return console.Incompletef("%d states could not be read: they are locked or damaged", unreadable)
	}
	return nil
}
