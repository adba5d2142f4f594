package archives

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func archiveLedgerCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "ledger",
		Usage:     "what runs of archive verify have found out about a place",
		UsageText: "lifeboat archive ledger merge /mnt/backups --run nightly-7",
		Subcommands: []*cli.Command{{
			Name:  "merge",
			Usage: "one verdict out of all shards: every archive once",
			UsageText: "lifeboat archive ledger merge s3://backups/prod --run nightly-7\n" +
				"lifeboat archive ledger merge /mnt/backups --max-age 26h",
			ArgsUsage: "PLACE",
			Description: `Every archive that is in PLACE now is told by its newest verdict in the ledger:
of the run that --run names, else of all. One that no run has looked at makes
it exit code 1. The answer is that of one archive verify over the whole place,
and the newest archive of each cluster is held against what this host
remembers.

A ledger is not a proof against those who may write to the place: with --ledger
it is kept elsewhere.`,
			Flags: append(judgeFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON)),
			Action: func(c *cli.Context) error {
				path, err := console.OneArgument(c, "PLACE")
				if err != nil {
					return err
				}
				how, err := placeOptionsOf(c)
				if err != nil {
					return err
				}
				store, err := lifeboat.OpenPlace(c.Context, path)
				if err != nil {
					return err
				}
				kept, err := ledgerOf(c, store)
				if err != nil {
					return err
				}
				opts := console.SourceOptions{}
				stateDir(env, &opts)
				report, err := lifeboat.MergePlace(c.Context, store, kept, c.String("run"), opts.For(env, path), how)
				if err != nil {
					return err
				}
				return tellPlace(env, c.String("metrics"), report)
			},
		}},
	}
}
