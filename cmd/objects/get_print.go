package objects

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// labelColumns are the labels of -L, each value of which may join several.
func labelColumns(values []string) (labels []string) {
	for _, v := range values {
		labels = append(labels, strings.Split(v, ",")...)
	}
	return labels
}

// getter prints a listing.
type getter struct {
	env     *console.Environment
	listing *registry.Listing
	printer *printer.Printer
	trash   *registry.Trash // nil for what is there
	query   registry.Query

	view printer.View

	template *printer.Template  // of -o NAME=TEMPLATE, nil for none
	sortBy   *printer.SortField // nil for the order of kubectl
	table    printer.Options

	printed, unreadable, partial, locked int
}

// list finds the objects, and puts them in order.
func (g *getter) list(ctx context.Context, reg *registry.Registry, stored bool, fieldSelector string) (err error) {
	if g.listing, err = reg.List(ctx, g.query); err != nil {
		return err
	}
	if g.trash != nil {
		g.listing.Keep(func(k registry.Key) bool { _, gone := g.trash.Gone(k); return gone })
	}
	g.table.Kind = len(g.listing.Kinds) > 1
	g.printer = printer.New(g.listing.Resources, g.listing.Newest)
	if !stored {
		g.view.Converter = printer.NewConverter(g.listing.Resources)
	}
	if fieldSelector != "" {
		where, err := g.printer.Where(fieldSelector, g.listing.Kinds)
		if err != nil {
			return console.UsageError(err)
		}
		g.listing.Where(where)
	}
	if g.sortBy == nil {
		return nil
	}
	return g.sortBy.Sort(ctx, g.listing, g.view)
}

func (g *getter) print(ctx context.Context) error {
	// One object stands by itself when one name was asked for, as in kubectl.
	single := len(g.query.Names) == 1 && len(g.listing.Kinds) == 1
	if g.template != nil {
		return g.printObjects(ctx, g.template.Form(g.env.Stdout, single, g.table.NoHeaders))
	}
	switch g.env.Format {
	case console.FormatYAML, console.FormatJSON:
		return g.printObjects(ctx, printer.NewList(g.env.Stdout, g.env.Format == console.FormatJSON, single))
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
	w := printer.NewWriter(g.env.Stdout, g.table)
	for o := range g.listing.Objects(ctx) {
		g.count(o)
		if g.trash != nil {
			if gone, ok := g.trash.Gone(o.Key); ok {
				g.env.Note("%s was deleted at revision %d (%s)", o, gone.Revision, gone.When)
			}
		}
		if err := w.Write(g.printer.Row(o)); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), ctx.Err()); err != nil {
		return err
	}
	if now := g.listing.Newest; g.printed > 0 && !now.IsZero() {
		g.env.Note("ages count from %s, the newest time stamp in the backup", now.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}

// printObjects prints whole objects.
func (g *getter) printObjects(ctx context.Context, form printer.Form) error {
	for o := range g.listing.Objects(ctx) {
		content, err := g.view.Content(o)
		g.count(o)
		if err != nil {
			return err
		}
		if content == nil {
			continue // counted, and named by count
		}
		if err := form.Add(content); err != nil {
			return err
		}
	}
	return errors.Join(form.End(), ctx.Err())
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
