package lifeboat

import (
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
	var kinds map[schema.GroupResource]bool
	if opts.Words != "" {
		found, err := listing.Resources.Find(opts.Words)
		if err != nil {
			return nil, err
		}
		kinds = map[schema.GroupResource]bool{}
		for _, k := range found {
			kinds[k.GroupResource()] = true
		}
	}
	return registry.DiffOf(ctx, before, after, registry.DiffOptions{
		Raw: opts.Raw, ShowSecrets: opts.ShowSecrets, Convert: printer.NewConverter(listing.Resources).Servable,
		Want: func(k registry.Key) bool {
			return (kinds == nil || kinds[k.GroupResource()]) &&
				(opts.Namespace == "" || k.Namespace == opts.Namespace || k.Namespace == "" && k.Plural == "namespaces" && k.Name == opts.Namespace)
		},
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
