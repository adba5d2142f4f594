package lifeboat

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// DiffOptions say what of two states is compared.
type DiffOptions struct {
	Words       string // kinds, as kubectl takes them; "" is every kind
	Namespace   string // "" is everything
	Raw         bool   // every field as it is stored, not the cleaned form
	ShowSecrets bool
	Force       bool // also of two clusters
}

// Diff compares the objects of two states of a cluster: of one backup at two
// revisions, or of two backups. Those of different clusters are refused.
func Diff(ctx context.Context, before, after *registry.Registry, opts DiffOptions) (*registry.Diff, error) {
	if err := sameClusters(ctx, before, after, opts.Force); err != nil {
		return nil, err
	}
	listing, err := after.List(ctx, registry.Query{Words: "ns", Names: []string{}})
	if err != nil {
		return nil, err
	}
	want, err := opts.wanted(listing.Resources)
	if err != nil {
		return nil, err
	}
	return registry.DiffOf(ctx, before, after, registry.DiffOptions{
		Raw: opts.Raw, ShowSecrets: opts.ShowSecrets, Convert: printer.NewConverter(listing.Resources).Servable, Want: want,
	})
}

// wanted takes the keys of the kinds and the namespace that are compared.
func (o DiffOptions) wanted(resources *registry.Resources) (func(registry.Key) bool, error) {
	var kinds map[schema.GroupResource]bool
	if o.Words != "" {
		found, err := resources.Find(o.Words)
		if err != nil {
			return nil, err
		}
		kinds = map[schema.GroupResource]bool{}
		for _, k := range found {
			kinds[k.GroupResource()] = true
		}
	}
	return func(k registry.Key) bool {
		return (kinds == nil || kinds[k.GroupResource()]) &&
			(o.Namespace == "" || k.Namespace == o.Namespace || k.Namespace == "" && k.Plural == "namespaces" && k.Name == o.Namespace)
	}, nil
}

// DiffManifests compares the objects of a revision, 0 for the newest, with those
// in the files of a folder, in one file, or in Options.Stdin ("-"): manifests, or
// what kubectl get -o yaml printed. Both are brought into the version in which an
// API server answers, with its defaults. Without Words and Namespace, what is
// compared is what Manifests.Covers.
func (b *Backup) DiffManifests(ctx context.Context, rev int64, path string, opts DiffOptions) (*registry.Diff, error) {
	before, err := b.Objects(rev)
	if err != nil {
		return nil, err
	}
	listing, err := before.List(ctx, registry.Query{Words: "ns", Names: []string{}})
	if err != nil {
		return nil, err
	}
	regOpts, err := b.RegistryOptions(rev)
	if err != nil {
		return nil, err
	}
	prefix := cmp.Or(regOpts.Prefix, registry.DefaultPrefix)
	var manifests *registry.Manifests
	if path == "-" && b.opts.Stdin != nil {
		manifests, err = registry.ReadManifests(b.opts.Stdin, prefix, listing.Resources)
	} else {
		manifests, err = registry.ReadManifestDir(path, prefix, listing.Resources)
	}
	switch {
	case err != nil:
		return nil, err
	case manifests.Len() == 0:
		return nil, fmt.Errorf("reading manifests: there is no object in %q", path)
	}
	after := registry.New(manifests, registry.Options{Prefix: prefix})
	if err := sameClusters(ctx, before, after, opts.Force); err != nil {
		return nil, err
	}
	want := manifests.Covers()
	if opts.Words != "" || opts.Namespace != "" {
		if want, err = opts.wanted(listing.Resources); err != nil {
			return nil, err
		}
	}
	return registry.DiffOf(ctx, before, after, registry.DiffOptions{
		Raw: opts.Raw, ShowSecrets: opts.ShowSecrets, Convert: printer.NewConverter(listing.Resources).Preferred, Want: want,
	})
}

func sameClusters(ctx context.Context, before, after *registry.Registry, force bool) error {
	a, err := before.ClusterUID(ctx)
	if err != nil {
		return err
	}
	b, err := after.ClusterUID(ctx)
	if err != nil {
		return err
	}
	if a != b && a != "" && b != "" && !force {
		return &Error{Class: Refused, Err: fmt.Errorf("comparing: %w", registry.ErrOtherCluster), Hint: "--force compares them all the same"}
	}
	return nil
}
