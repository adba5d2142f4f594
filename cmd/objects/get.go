package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
			"lifeboat get kube-backup.tar.gz all -n infra-production -l app=supercronic",
		ArgsUsage:    "SRC KIND [NAME...] | SRC KIND/NAME...",
		BashComplete: console.CompletesWith(console.KindAfterSource),
		Flags: append(append(console.SourceFlags(), console.WhenFlags()...),
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Value: "default", Usage: "of this `NAMESPACE`"},
			&cli.BoolFlag{Name: "all-namespaces", Aliases: []string{"A"}, Usage: "of all namespaces"},
			&cli.StringFlag{Name: "selector", Aliases: []string{"l"}, Usage: "with these labels, `SELECTOR` as kubectl takes it"},
			&cli.BoolFlag{Name: "deleted", Usage: "what was deleted and is still in the history, as it was before"},
			&cli.BoolFlag{Name: "ignore-not-found", Usage: "a NAME that is not there is no failure"},
			&cli.BoolFlag{Name: "stored", Usage: "in the version that etcd holds, not the preferred one"},
			&cli.BoolFlag{Name: "show-managed-fields", Usage: "keep metadata.managedFields in yaml and json"},
			&cli.BoolFlag{Name: "no-headers", Usage: "leave the header line out"},
			console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatYAML, console.FormatJSON, console.FormatName),
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
	src, rev, err := console.OpenAt(c, env, opts, c.Args().First())
	if err != nil {
		return err
	}
	defer src.Close()
	reg, err := src.Objects(rev)
	if err != nil {
		return err
	}
	var trash *registry.Trash
	if c.Bool("deleted") {
		if trash, err = src.Trash(c.Context, rev, nil); err != nil {
			return err
		}
		reg = trash.Registry()
	}
	listing, err := reg.List(c.Context, query)
	if err != nil {
		return err
	}
	if trash != nil {
		listing.Keep(func(k registry.Key) bool { _, gone := trash.Gone(k); return gone })
	}
	g := &getter{
		trash: trash, env: env, listing: listing, query: query,
		stored: c.Bool("stored"), managedFields: c.Bool("show-managed-fields"), noHeaders: c.Bool("no-headers"),
	}
	if err := g.print(c.Context); err != nil {
		return err
	}
	err = g.verdict()
	if g.missing() && trash == nil {
		err = src.HintDeleted(c.Context, err, rev, g.lookedFor)
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

// getter prints a listing.
type getter struct {
	env     *console.Environment
	listing *registry.Listing
	trash   *registry.Trash // nil for what is there
	query   registry.Query

	stored, managedFields, noHeaders bool

	printed, unreadable, partial, locked int
}

func (g *getter) print(ctx context.Context) error {
	switch g.env.Format {
	case console.FormatYAML, console.FormatJSON:
		return g.printObjects(ctx)
	case console.FormatName:
		for o := range g.listing.Objects(ctx) {
			g.count(o)
			if _, err := fmt.Fprintln(g.env.Stdout, console.Printable(g.reference(o))); err != nil {
				return err
			}
		}
	default:
		return g.printTable(ctx)
	}
	return ctx.Err()
}

func (g *getter) printTable(ctx context.Context) error {
	now := g.listing.Newest
	p := printer.New(g.listing.Resources, now)
	w := printer.NewWriter(g.env.Stdout, printer.Options{
		Wide: g.env.Format == console.FormatWide, Namespace: g.query.Namespace == "",
		Kind: len(g.listing.Kinds) > 1, NoHeaders: g.noHeaders,
	})
	for o := range g.listing.Objects(ctx) {
		g.count(o)
		if g.trash != nil {
			if gone, ok := g.trash.Gone(o.Key); ok {
				g.env.Note("%s was deleted at revision %d (%s)", o, gone.Revision, gone.When)
			}
		}
		if err := w.Write(p.Row(o)); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), ctx.Err()); err != nil {
		return err
	}
	if g.printed > 0 && !now.IsZero() {
		g.env.Note("ages count from %s, the newest time stamp in the backup", now.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}

// printObjects streams whole objects: one by itself when one name was asked
// for, as kubectl does, else a List.
func (g *getter) printObjects(ctx context.Context) error {
	converter := printer.NewConverter(g.listing.Resources)
	list := printer.NewList(g.env.Stdout, g.env.Format == console.FormatJSON, len(g.query.Names) == 1 && len(g.listing.Kinds) == 1)
	for o := range g.listing.Objects(ctx) {
		if !g.stored {
			converter.Preferred(o)
		}
		g.count(o)
		content, err := o.Content()
		if err != nil {
			return err
		}
		if content == nil {
			continue // counted, and named by count
		}
		if err := unstructured.SetNestedField(content, strconv.FormatInt(o.KV.ModRevision, 10), "metadata", "resourceVersion"); err != nil {
			return fmt.Errorf("showing %s: %w", o, err)
		}
		if !g.managedFields {
			unstructured.RemoveNestedField(content, "metadata", "managedFields")
		}
		if err := list.Add(content); err != nil {
			return err
		}
	}
	return errors.Join(list.End(), ctx.Err())
}

// count keeps account of o and tells what the operator has to know of it.
func (g *getter) count(o *registry.Object) {
	g.printed++
	for _, p := range o.Problems {
		g.env.Warn("%s: %s", o, p)
	}
	switch {
	case !o.Readable():
		g.unreadable++
	case len(o.Problems) > 0:
		g.partial++
	}
	if o.Form == registry.Encrypted {
		g.locked++
	}
}

func (g *getter) reference(o *registry.Object) string {
	resource, ok := g.listing.Resources.Lookup(o.Key.GroupResource())
	if !ok {
		resource = registry.Resource{Group: o.GVK.Group, Kind: o.GVK.Kind}
	}
	return printer.Reference(resource, o.Name)
}

// missing reports whether a name that was asked for is not there.
func (g *getter) missing() bool { return len(g.listing.NotFound()) > 0 }

// lookedFor takes the keys of what was asked for by name and not found.
func (g *getter) lookedFor(k registry.Key) bool {
	return slices.Contains(g.listing.NotFound(), k.Name) && (k.Namespace == "" || g.query.Namespace == "" || k.Namespace == g.query.Namespace) &&
		slices.ContainsFunc(g.listing.Kinds, func(r registry.Resource) bool { return r.GroupResource() == k.GroupResource() })
}

// verdict says what was asked for and not shown.
func (g *getter) verdict() error {
	if missing := g.listing.NotFound(); len(missing) > 0 {
		return console.Failf("%s %s not found%s", g.listing.Kinds[0], strings.Join(quoteAll(missing), ", "), g.where())
	}
	switch {
	case g.printed == 0:
		g.env.Note("no resources found%s", g.where())
	case g.locked == g.printed:
		return &console.CodedError{Code: console.ExitNoKey, Err: fmt.Errorf("all %d objects are encrypted, and no key at hand opens them", g.locked),
			Hint: "give the API server's EncryptionConfiguration with --encryption-config FILE"}
	case g.unreadable > 0:
		return console.Incompletef("%d of %d objects could not be read", g.unreadable, g.printed)
	case g.partial > 0:
		return console.Incompletef("%d of %d objects could not be read whole, see above", g.partial, g.printed)
	}
	return nil
}

func (g *getter) where() string {
	if g.query.Namespace == "" || !g.listing.Kinds[0].Namespaced {
		return ""
	}
	return fmt.Sprintf(" in namespace %q", g.query.Namespace)
}

func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return quoted
}
