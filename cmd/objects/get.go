package objects

import (
	"fmt"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// GetCommand is `lifeboat get`.
func GetCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "get",
		Usage: "objects in a backup, as kubectl get shows those of a cluster",
		UsageText: "lifeboat get kube-backup.tar.gz pods -n infra-production\n" +
			"lifeboat get kube-backup.tar.gz deploy,svc -A -o wide\n" +
			"lifeboat get kube-backup.tar.gz secret db-password -n infra -o yaml\n" +
			"lifeboat get kube-backup.tar.gz deploy/web -n infra --at '10m ago'\n" +
			"lifeboat get kube-backup.tar.gz cm -n infra-production --deleted\n" +
			"lifeboat get kube-backup.tar.gz all -n infra-production -l app=supercronic\n" +
			"lifeboat get kube-backup.tar.gz po -A --field-selector spec.nodeName=node-1\n" +
			"lifeboat get kube-backup.tar.gz no -o 'jsonpath={.items[*].metadata.name}'\n" +
			"lifeboat get kube-backup.tar.gz pv --sort-by .spec.capacity.storage",
		ArgsUsage:    "SRC KIND [NAME...] | SRC KIND/NAME...",
		BashComplete: console.CompletesWith(console.KindAfterSource),
		Flags: append(append(console.SourceFlags(), console.WhenFlags()...),
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "of this `NAMESPACE`"},
			&cli.BoolFlag{Name: "all-namespaces", Aliases: []string{"A"}, Usage: "of all namespaces"},
			&cli.StringFlag{Name: "selector", Aliases: []string{"l"}, Usage: "with these labels, `SELECTOR` as kubectl takes it"},
			&cli.StringFlag{Name: "field-selector", Usage: "with these fields, `SELECTOR` as the API server takes it: status.phase=Running,spec.nodeName!=node-1"},
			&cli.StringFlag{Name: "sort-by", Usage: "in the order of a `FIELD`, as .metadata.creationTimestamp"},
			&cli.BoolFlag{Name: "show-labels", Usage: "a last column of all labels"},
			&cli.StringSliceFlag{Name: "label-columns", Aliases: []string{"L"}, Usage: "a column for each of these `LABELS`, joined by commas; repeatable"},
			&cli.BoolFlag{Name: "deleted", Usage: "what was deleted and is still in the history, as it was before"},
			&cli.BoolFlag{Name: "ignore-not-found", Usage: "a NAME that is not there is no failure"},
			&cli.BoolFlag{Name: "stored", Usage: "in the version that etcd holds, not the preferred one"},
			&cli.BoolFlag{Name: "show-managed-fields", Usage: "keep metadata.managedFields in yaml and json"},
			&cli.BoolFlag{Name: "no-headers", Usage: "leave the header line out"},
			console.OutputOrTemplateFlag(env, printer.FormNames(), console.FormatTable, console.FormatWide, console.FormatYAML, console.FormatJSON, console.FormatName),
		),
		Action: func(c *cli.Context) error { return runGet(c, env) },
	}
}

func runGet(c *cli.Context, env *console.Environment) error {
	if c.NArg() < 2 {
		return console.Usagef("get takes SRC and KIND; as in: lifeboat get kube-backup.tar.gz pods")
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	query, err := queryOf(c)
	if err != nil {
		return err
	}
	g := &getter{
		env: env, query: query, view: printer.View{ManagedFields: c.Bool("show-managed-fields")},
		table: printer.Options{
			Wide: env.Format == console.FormatWide, Namespace: query.Namespace == "", NoHeaders: c.Bool("no-headers"),
			Labels: labelColumns(c.StringSlice("label-columns")), ShowLabels: c.Bool("show-labels"),
		},
	}
	if env.Template != "" {
		// Before SRC is opened: a slip in a template is told at once.
		if g.template, err = printer.ParseTemplate(string(env.Format), env.Template); err != nil {
			return console.UsageError(err)
		}
	}
	if field := c.String("sort-by"); field != "" {
		if g.sortBy, err = printer.NewSortField(field); err != nil {
			return console.UsageError(fmt.Errorf("reading --sort-by: %w", err))
		}
	}
	src, rev, err := console.OpenAt(c, env, opts, c.Args().First())
	if err != nil {
		return err
	}
	defer src.Close()
	reg, err := src.Objects(rev)
	if err != nil {
		return err
	}
	if c.Bool("deleted") {
		if g.trash, err = src.Trash(c.Context, rev, nil); err != nil {
			return err
		}
		reg = g.trash.Registry()
	}
	if err := g.list(c.Context, reg, c.Bool("stored"), c.String("field-selector")); err != nil {
		return err
	}
	if err := g.print(c.Context); err != nil {
		return err
	}
	err = g.verdict()
	if g.missing() && g.trash == nil {
		err = src.HintDeleted(c.Context, err, rev, g.listing.Missed)
	}
	if g.missing() && c.Bool("ignore-not-found") {
		return nil
	}
	return err
}

func queryOf(c *cli.Context) (registry.Query, error) {
	q := registry.Query{Namespace: c.String("namespace")}
	var err error
	if q.Words, q.Refs, err = registry.ParseRefs(c.Args().Tail()); err != nil {
		return q, console.UsageError(err)
	}
	for _, ref := range q.Refs {
		q.Names = append(q.Names, ref.Name)
	}
	if q.Namespace == "" {
		return q, console.Usagef("the namespace is empty; is a variable not set?")
	}
	if c.Bool("all-namespaces") {
		if c.IsSet("namespace") {
			return q, console.Usagef("-n and -A exclude each other")
		}
		if q.Names != nil {
			return q, console.Usagef("a NAME cannot be looked for in all namespaces")
		}
		q.Namespace = ""
	}
	selector, err := labels.Parse(c.String("selector"))
	if err != nil {
		return q, console.Usagef("reading --selector: %w", err)
	}
	if q.Names != nil && !selector.Empty() {
		return q, console.Usagef("NAME and --selector exclude each other")
	}
	q.Labels = selector
	return q, nil
}
