package archives

import (
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
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
needs no other key; else from RECOVERY.txt, which stands first in each. Neither
has looked at the snapshot: archive verify does. An archive of which nobody
tells anything is listed with the reason, and is exit code 3.`,
		Flags: append(console.KeyFlags(), console.OutputFlag(env, console.FormatTable, console.FormatWide, console.FormatJSON)),
		Action: func(c *cli.Context) error {
			list, _, err := catalogOf(c, env)
			if err != nil {
				return err
			}
			if err := printCatalog(env, list); err != nil {
				return err
			}
			if unread := lifeboat.Unread(list); unread > 0 {
				return console.Incompletef("of %d archives, %d tell nothing", len(list), unread)
			}
			return nil
		},
	}
}

// catalogOf opens the PLACE of a command.
func catalogOf(c *cli.Context, env *console.Environment) ([]lifeboat.Listing, place.Store, error) {
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
	list, err := lifeboat.Catalog(c.Context, store, opts.For(env, path))
	return list, store, err
}

// listing is a line of the catalog in JSON.
type listing struct {
	Name       string          `json:"name"`
	Size       int64           `json:"size"` // bytes
	Cluster    string          `json:"cluster,omitempty"`
	Revision   int64           `json:"revision,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
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
			items[i] = listing{l.Name, l.Size, l.Cluster, l.Revision, l.Time, l.Node, l.Kubernetes, l.Etcd, l.Recipients, l.Signer, l.Told, l.Problem, l.Proof, l.Unproven}
		}
		return env.PrintDocument(map[string]any{"items": items})
	}
	header := []string{"CLUSTER", "TIME", "REVISION", "SIZE", "PROVEN", "TOLD BY", "NAME"}
	wide := env.Format == console.FormatWide
	if wide {
		header = append(header, "KUBERNETES", "ETCD", "SIGNER", "RECIPIENTS")
	}
	t := console.NewTable(env.Stdout, header...)
	for _, l := range list {
		row := []string{console.OrDash(l.Cluster), "-", "-", humanize.Bytes(uint64(l.Size)), provenAt(l), console.OrDash(string(l.Told)), l.Name}
		if l.Told != lifeboat.ToldByNobody {
			row[1], row[2] = l.Time.Format(time.RFC3339), strconv.FormatInt(l.Revision, 10)
		}
		if wide {
			row = append(row, console.OrDash(l.Kubernetes), console.OrDash(l.Etcd), console.OrDash(l.Signer), console.OrDash(strings.Join(l.Recipients, ",")))
		}
		t.Row(row...)
		for _, problem := range []string{l.Problem, l.Unproven} {
			if problem != "" {
				env.Warn("%q: %s", l.Name, problem)
			}
		}
	}
	return t.Flush()
}

// provenAt says when an archive was last proven, and that it could not start
// where that came out.
func provenAt(l lifeboat.Listing) string {
	switch {
	case l.Proof == nil:
		return "-"
	case !l.Proof.Started():
		return "FAILED " + l.Proof.Proven.Format(time.DateOnly)
	}
	return l.Proof.Proven.Format(time.DateOnly)
}
