package etcd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func etcdCompareCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "compare",
		Usage: "which survivor to build from, and what differs between them",
		UsageText: "lifeboat etcd compare /var/lib/etcd /mnt/master-1/etcd\n" +
			"lifeboat etcd compare /var/lib/etcd etcd-backup.snapshot -o json",
		ArgsUsage: "SRC SRC...",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return console.Usagef("compare takes two data dirs or more; a snapshot may stand among them")
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			found, err := lifeboat.Compare(c.Context, c.Args().Slice(), opts.For(env, ""))
			if err != nil {
				return err
			}
			return errors.Join(printComparison(env, found), found.Verdict())
		},
	}
}

// shownDifferences bounds the table; -o json has them all.
const shownDifferences = 20

func printComparison(env *console.Environment, c *lifeboat.Comparison) error {
	if env.Format != console.FormatTable {
		return env.PrintDocument(c)
	}
	out := console.NewSection(env)
	rows := [][]string{{"SOURCE", "MEMBER", "LAST TERM", "LAST INDEX", "COMMIT", "APPLIED", "REVISION", fmt.Sprintf("HASH AT %d", c.CommonRevision), "DAMAGE"}}
	for _, r := range c.Rows {
		hash := "-"
		if r.Hash != nil {
			hash = strconv.FormatUint(uint64(r.Hash.Hash), 10)
		}
		rows = append(rows, []string{r.Path, console.OrDash(r.Member), console.Number(r.LastTerm), console.Number(r.LastIndex), console.OrDash(console.Number(r.Commit)), console.OrDash(console.Number(r.Applied)), console.OrDash(console.Number(uint64(r.Revision))), hash, console.OrDash(r.Damage)})
	}
	out.Table(rows)
	out.Line("")
	switch {
	case c.Readable() < 2:
		out.Line("fewer than two can be read: no keys were compared")
	case len(c.Differences) == 0:
		out.Line("all that can be read hold the same keys")
	}
	for _, d := range c.Differences[:min(len(c.Differences), shownDifferences)] {
		var revs []string
		for _, rev := range d.Revisions {
			revs = append(revs, console.OrDash(console.Number(uint64(rev))))
		}
		out.Line("differs: %s (mod_revision %s)", console.Printable(d.Object), strings.Join(revs, ", "))
	}
	if more := len(c.Differences) - shownDifferences; more > 0 {
		out.Line("and %d more (-o json lists them)", more)
	}
	if c.Recommended != "" {
		out.Line("")
		out.Line("build from %s:", console.Printable(c.Recommended))
	}
	for _, reason := range c.Reasons {
		out.Line("  %s", console.Printable(reason))
	}
	if len(c.Next) > 0 {
		out.Heading("Next")
	}
	for _, step := range c.Next {
		out.Line("  %s", console.Printable(step))
	}
	return out.Err
}
