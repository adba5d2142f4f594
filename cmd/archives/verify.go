package archives

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archiveVerifyCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "is it whole, do its parts belong together, can it be restored from",
		UsageText: "lifeboat archive verify backup.tar.gz.age -i recovery.key --pubkey backup.pub\n" +
			"lifeboat archive verify /mnt/backups -i recovery.key --pubkey backup.pub \\\n" +
			"  --max-age 26h --sample 5%",
		ArgsUsage: "SRC|PLACE",
		Description: `Every layer to its end; the manifest against the content; the snapshot's sum,
pages and records; every certificate against its key, its CA and the clock; and
that all of it is of one cluster: CA, encryption keys, etcd member, tokens.
Archives that others made are verified too; what could not be checked is said.

A good archive with a good signature is remembered, in $XDG_STATE_HOME/lifeboat
or, for root, in /var/lib/lifeboat. An older one of the same cluster is exit
code 3 from then on. Damage is exit code 5, parts that do not fit are 3.

Of a PLACE, a folder of archives or s3://BUCKET/PREFIX, every archive is looked
at, a line each, and those of a cluster are compared. --sample takes a part of
them, another one every day, until all had their turn. The exit code speaks of
the archives when each has a verdict; else it is 1. With --run, verdicts are
kept in the PLACE (or --ledger), and the same command goes on after a kill.`,
		Flags: append(append(append(console.SourceFlags(), placeFlags()...), console.ShardFlags("the archives")...),
			&cli.BoolFlag{Name: "read-data", Value: true, Usage: "read all of it (the default)"},
			&cli.BoolFlag{Name: "quick", Usage: "signature, keys and end of the encryption alone; says what was skipped"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error {
			path, err := console.OneArgument(c, "SRC")
			if err != nil {
				return err
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			if lifeboat.IsPlace(path) {
				return runVerifyPlace(c, env, path, opts)
			}
			if err := refusePlaceFlags(c); err != nil {
				return err
			}
			v := &verification{Source: path}
			if c.Bool("quick") || !c.Bool("read-data") {
				v.Kind = lifeboat.Archive
				v.Checks, err = lifeboat.VerifyQuick(c.Context, path, opts.For(env, path))
			} else {
				err = v.full(c.Context, env, opts)
			}
			if err != nil {
				return err
			}
			if err := v.print(env); err != nil {
				return err
			}
			return lifeboat.Verdict(v.Checks)
		},
	}
}

// verification is what archive verify shows; -o json prints it as it stands.
type verification struct {
	Source   string            `json:"source"`
	Kind     lifeboat.Kind     `json:"kind,omitempty"`
	Checks   []lifeboat.Check  `json:"checks"`
	Manifest *archive.Manifest `json:"manifest,omitempty"`
}

func (v *verification) full(ctx context.Context, env *console.Environment, opts console.SourceOptions) error {
	var err error
	if opts.StateDir, err = lifeboat.DefaultStateDir(); err != nil {
		env.Warn("%v", err) // what is wrong with this host is no verdict on the archive
	}
	src, err := console.OpenSource(ctx, env, opts, v.Source)
	if err != nil {
		return err
	}
	defer src.Close()
	v.Kind, v.Manifest = src.Kind(), src.Manifest()
	v.Checks, err = src.Verify(ctx)
	return err
}

func (v *verification) print(env *console.Environment) error {
	if env.Format == console.FormatJSON {
		return env.PrintDocument(v)
	}
	out := console.NewSection(env)
	out.Line("%s: %s", console.Printable(v.Source), v.Kind)
	rows := make([][]string, 0, len(v.Checks))
	for _, c := range v.Checks {
		rows = append(rows, []string{"  " + c.Name, string(c.State()), c.Detail})
	}
	out.Table(rows)
	return out.Err
}
