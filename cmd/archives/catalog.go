package archives

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archiveCatalogCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "catalog",
		Usage: "the archives in a place: of which cluster, revision and time",
		UsageText: "lifeboat archive catalog /mnt/backups --pubkey backup.pub\n" +
			"lifeboat archive catalog /mnt/backups -i recovery.key -o wide",
		ArgsUsage: "PLACE",
		Description: `PLACE is a folder, or s3://BUCKET/PREFIX (lifeboat help places).
With --pubkey from the comments of the signatures beside the archives, which
needs no other key; else, with -i, from RECOVERY.txt, which stands first in
each; with both, the two have to tell the same. Neither has looked at the
snapshot: archive verify does. An archive of which nobody tells anything is
listed with the reason, and is exit code 3.

Then for each cluster its oldest and newest archive, how often one is made, and
the gaps: from which archive to which some are missing. What prune has thinned
out is no gap.

With -i, what the archives told is kept in PLACE/.lifeboat/catalog, encrypted,
and they are not asked again; it may be removed at any time.`,
		Flags: append(console.KeyFlags(), console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatJSON)),
		Action: func(c *cli.Context) error {
			list, _, err := catalogOf(c, env, lifeboat.CachedCatalog)
			if err != nil {
				return err
			}
			if err := printCatalog(env, list); err != nil {
				return err
			}
			if unread := lifeboat.Unread(list); unread > 0 {
				hint := ""
				if !c.IsSet("pubkey") && !c.IsSet("identity") {
					hint = "--pubkey FILE lets the signatures tell, -i KEY the archives themselves"
				}
				return console.WithHint(console.Incompletef("of %d archives, %d tell nothing", len(list), unread), hint)
			}
			return nil
		},
	}
}

// cataloger is lifeboat.Catalog, or what is as good for the command.
type cataloger func(context.Context, place.Store, lifeboat.Options) ([]lifeboat.Listing, error)

// catalogOf opens the PLACE of a command.
func catalogOf(c *cli.Context, env *console.Environment, catalog cataloger) ([]lifeboat.Listing, place.Store, error) {
	path, err := console.OneArgument(c, "PLACE")
	if err != nil {
		return nil, nil, err
	}
	opts, err := console.KeyOptionsOf(c)
	if err != nil {
		return nil, nil, err
	}
	store, err := lifeboat.OpenPlace(c.Context, path)
	if err != nil {
		return nil, nil, err
	}
	list, err := catalog(c.Context, store, opts.For(env, path))
	return list, store, err
}

// listing is a line of the catalog in JSON.
type listing struct {
	Name       string          `json:"name"`
	Size       int64           `json:"size"` // bytes
	Cluster    string          `json:"cluster,omitempty"`
	Revision   int64           `json:"revision,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Clock      bool            `json:"clock,omitempty"` // by the snapshot's own Leases
	Node       string          `json:"node,omitempty"`
	Kubernetes string          `json:"kubernetesVersion,omitempty"`
	Etcd       string          `json:"etcdVersion,omitempty"`
	Recipients []string        `json:"recipients,omitempty"`
	Signer     string          `json:"signer,omitempty"`
	Told       lifeboat.Teller `json:"told"`
	Problem    string          `json:"problem,omitempty"`

	Proof    *lifeboat.ProofRecord `json:"proof,omitempty"`
	Unproven string                `json:"proofProblem,omitempty"`
}

func printCatalog(env *console.Environment, list []lifeboat.Listing) error {
	if env.Format == console.FormatJSON {
		items := make([]listing, len(list))
		for i, l := range list {
			items[i] = listing{l.Name, l.Size, l.Cluster, l.Revision, l.Time, l.Clock, l.Node, l.Kubernetes, l.Etcd, l.Recipients, l.Signer, l.Told, l.Problem, l.Proof, l.Unproven}
		}
		return env.PrintDocument(map[string]any{"items": items, "clusters": lifeboat.Holdings(list)})
	}
	for _, l := range list {
		for _, problem := range []string{l.Problem, l.Unproven} {
			if problem != "" {
				env.Warn("%q: %s", l.Name, problem)
			}
		}
	}
	return lifeboat.WriteCatalog(env.Stdout, list, env.Format == console.FormatWide)
}
