package lifeboat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// Engine is who reads the keyspace. Both give the same bytes.
type Engine string

// The engines.
const (
	Direct Engine = "direct" // reads the file
	Etcd   Engine = "etcd"   // asks a real etcd, booted on a copy in Options.ScratchDir
)

// ExtractOptions say what is made of the objects. The zero value cleans the
// newest ones for kubectl create.
type ExtractOptions struct {
	Revision int64            // of etcd, 0 for the newest
	WithDeps bool             // with what the objects need of the cluster and of their namespaces
	Deleted  bool             // what was deleted before Revision and is in the history, instead of what is there
	Profile  registry.Profile // "" is registry.Recreate
	Engine   Engine           // "" is Direct
	Stream   bool             // for one YAML stream, not a folder: no file names are needed

	KeepNodePorts bool // node ports of Services as they were, allocated ones as well

	// ToNamespace clones: the objects of the one namespace that is asked for are
	// written for this one. "" leaves them where they were.
	ToNamespace string
	Suspend     bool // workloads without replicas, Jobs and CronJobs suspended

	// Target is the release of Kubernetes that is to take the manifests, as
	// "1.29"; "" is that which wrote them, or a newer one. Custom resources are
	// held against their definitions.
	Target string
}

// cleaning are the options of registry.Clean.
func (o ExtractOptions) cleaning(what registry.Selection) (registry.CleanOptions, error) {
	clean := registry.CleanOptions{Profile: cmp.Or(o.Profile, registry.Recreate), Stream: o.Stream, KeepNodePorts: o.KeepNodePorts, Suspend: o.Suspend}
	switch {
	case (o.ToNamespace != "" || o.Suspend) && clean.Profile != registry.Recreate:
		return clean, misusef("profile %q changes nothing: a clone, and what is suspended, are made with profile %q", clean.Profile, registry.Recreate)
	case o.ToNamespace == "":
		return clean, nil
	case what.All || what.Cluster || len(what.Namespaces) != 1:
		return clean, misusef("a clone is made of one namespace")
	}
	clean.Clone = &registry.Clone{From: what.Namespaces[0], To: o.ToNamespace}
	if err := clean.Clone.Validate(); err != nil {
		return clean, misusef("%w", err)
	}
	return clean, nil
}

// Extraction is what was found and what cleaning made of it. Its Plan goes to
// registry.WriteDir or registry.WriteStream.
type Extraction struct {
	*registry.Plan
	Report *registry.ExtractReport

	// Closure is what the objects need beside themselves, of those that get a
	// manifest; nil where what is deleted was asked for. Where everything was, it
	// is what they name in vain.
	Closure *registry.Closure

	along map[*registry.Object]bool // objects that nobody asked for and that the others need
}

// Extract finds objects, with what belongs to them, and makes manifests of
// them. Nothing is written. Whether all that was asked for is there, Verdict
// says.
//
// Errors: a namespace or kind that is not there is a registry.NamespaceError or
// registry.UnknownResourceError.
func (b *Backup) Extract(ctx context.Context, what registry.Selection, opts ExtractOptions) (*Extraction, error) {
	cleaning, err := opts.cleaning(what)
	if err != nil {
		return nil, err
	}
	var target printer.Release
	if opts.Target != "" {
		if target, err = printer.ParseRelease(opts.Target); err != nil {
			return nil, misusef("%w", err)
		}
	}
	regOpts, err := b.RegistryOptions(opts.Revision)
	if err != nil {
		return nil, err
	}
	reader, closeReader, err := b.reader(ctx, opts.Engine)
	if err != nil {
		return nil, err
	}
	defer closeReader()
	phase := b.opts.Observer.start("extracting", 0)
	defer phase.Done()
	reg := registry.New(reader, regOpts)
	var trash *registry.Trash
	if opts.Deleted {
		if trash, err = b.deleted(ctx, reg, what); err != nil {
			return nil, err
		}
		reg = trash.Registry()
	}
	selected, err := reg.Select(ctx, what)
	if err != nil {
		return nil, b.hintSelection(ctx, err, opts)
	}
	if opts.Deleted {
		if err := withoutLiving(selected, what, trash); err != nil {
			return nil, err
		}
	}
	if !opts.Deleted && isEmpty(selected, what) {
		return nil, &Error{
			Class: Failed, Err: errors.New("no object in the backup is of these kinds, labels and namespaces: nothing is written"),
			Hint: "lifeboat get shows what there is, and --deleted looks for what was",
		}
	}
	closure, err := closureOf(ctx, reg, selected, what, opts)
	if err != nil {
		return nil, err
	}
	if what.All {
		if err := b.tellElsewhere(ctx, reg); err != nil {
			return nil, err
		}
	}
	cleaning.Whole = what.All && !opts.Deleted
	cleaning.Convert, cleaning.Beside = converterOf(selected.Resources, target), selected.Beside
	plan, err := registry.Clean(selected.Objects, cleaning)
	if err != nil {
		return nil, err
	}
	if opts.Target != "" {
		if err := holdToDefinitions(ctx, reg, plan, cleaning.Convert, target); err != nil {
			return nil, err
		}
	}
	report := registry.NewReport(plan, registry.ReportSource{
		Path: b.path, Form: string(b.kind), Revision: cmp.Or(opts.Revision, b.db.Revision()), Engine: string(cmp.Or(opts.Engine, Direct)),
	})
	if cleaning.Whole {
		closure = &registry.Closure{Dangling: plan.Dangling}
	} else if closure != nil {
		closure.OfWritten(plan)
	}
	report.Closure = closure.Report(opts.WithDeps)
	return &Extraction{Plan: plan, Closure: closure, Report: report, along: selected.Along}, nil
}

// tellElsewhere says what "everything" leaves out: a database may hold the objects
// of two API servers.
func (b *Backup) tellElsewhere(ctx context.Context, reg *registry.Registry) error {
	elsewhere, err := reg.Elsewhere(ctx)
	for _, n := range elsewhere {
		b.opts.Observer.warn("%d objects stand under %q and are left out: --etcd-prefix %s reads those", n.Objects, n.Prefix, n.Prefix)
	}
	return err
}

// isEmpty tells a selection that found nothing but what would have come along. A
// namespace that was asked for by itself may be empty.
func isEmpty(s *registry.Selected, what registry.Selection) bool {
	if what.Words == "" && what.Labels == nil {
		return len(s.Objects) == 0
	}
	return len(s.Objects) == len(s.Along)
}

// converterOf brings objects into versions that can be created, in a release or,
// without one, where they were stored.
func converterOf(resources *registry.Resources, target printer.Release) func(*registry.Object) {
	converter := printer.NewConverter(resources)
	if target == (printer.Release{}) {
		return converter.Servable
	}
	return converter.ServableIn(target)
}

// closureOf finds what the selected objects need, and selects it as well where
// that is asked for.
func closureOf(ctx context.Context, reg *registry.Registry, s *registry.Selected, what registry.Selection, opts ExtractOptions) (*registry.Closure, error) {
	if what.All || opts.Deleted {
		return nil, nil //nolint:nilnil // all of it is selected, or what it needs may be deleted too
	}
	closure, err := reg.Closure(ctx, s.Objects)
	if err != nil || !opts.WithDeps {
		return closure, err
	}
	for _, need := range closure.Needs {
		s.Along[need.Object] = true
		s.Objects = append(s.Objects, need.Object)
		s.Beside = slices.DeleteFunc(s.Beside, func(o *registry.Object) bool { return o.Key.Path == need.Object.Key.Path })
	}
	return closure, nil
}

// reader is the engine that was asked for.
func (b *Backup) reader(ctx context.Context, engine Engine) (snapshot.Reader, func(), error) {
	switch engine {
	case Direct, "":
		return b.History(), func() {}, nil
	case Etcd:
	default:
		return nil, nil, misusef("unknown engine %q", string(engine))
	}
	dir := cmp.Or(b.opts.ScratchDir, ".")
	if err := b.sweep(dir); err != nil {
		return nil, nil, err
	}
	phase := b.opts.Observer.start("starting etcd on a copy", 0)
	defer phase.Done()
	proc, err := etcdproc.Start(ctx, b.file, etcdproc.Options{Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	return proc, func() {
		if err := proc.Close(); err != nil {
			b.opts.Observer.warn("%v", err)
		}
	}, nil
}

// Verdict says what was asked for and is not there, or not whole: an Error of
// class Incomplete, or NoKey where all of it is locked. What a rule of the
// profile leaves out is not missing.
func (x *Extraction) Verdict() error {
	if x.Complete() {
		return nil
	}
	missing, locked := x.Missing(), 0
	for _, l := range missing {
		if l.Object.Form == registry.Encrypted {
			locked++
		}
	}
	got := slices.ContainsFunc(x.Manifests, func(m *registry.Manifest) bool { return !x.along[m.Object] && m.Raw == nil })
	switch {
	case !got && locked > 0 && locked == len(missing):
		return &Error{Class: NoKey, Err: fmt.Errorf("all %d objects asked for are encrypted, and no key at hand opens them", locked),
			Hint: "give the API server's EncryptionConfiguration with --encryption-config FILE"}
	case len(missing) > 0:
		return &Error{Class: Incomplete, Err: fmt.Errorf("%d objects are missing, see above", len(missing))}
	}
	return &Error{Class: Incomplete, Err: errors.New("some objects could not be read whole, see above")}
}
