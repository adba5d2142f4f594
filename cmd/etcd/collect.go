package etcd

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdCollectCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "collect",
		Usage: "what a data dir proves, in a file small enough to carry to another host",
		UsageText: "lifeboat etcd collect /var/lib/etcd --to m0.evidence\n" +
			"lifeboat etcd compare m0.evidence m1.evidence /var/lib/etcd",
		ArgsUsage: "DIR",
		Description: `Three masters stand on three machines: instead of their dirs, their evidence
is carried to one. "etcd compare" and --peer-dir take it wherever the dir of a
peer is evidence. It has the log's terms and ends, members, and a digest of
the dir; no key and no value; at most 64 KiB.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write"},
			&cli.StringFlag{Name: "host", Usage: "the `NAME` of this host, if not its own"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML),
		},
		Action: func(c *cli.Context) error { return runCollect(c, env) },
	}
}

func runCollect(c *cli.Context, env *console.Environment) error {
	path, err := console.OneArgument(c, "DIR")
	if err != nil {
		return err
	}
	to, host := c.String("to"), c.String("host")
	if to == "" {
		return console.Usagef("--to is missing: the file to write")
	}
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return err
		}
	}
	dir, err := datadir.Open(path)
	if err != nil {
		return err
	}
	phase := env.Progress.Start("reading "+path, 0)
	data, s, err := datadir.CollectDir(c.Context, dir, host, snapshot.Spool{Where: snapshot.Anywhere, Dir: datadir.Scratch(to)})
	phase.Done()
	if err != nil {
		return err
	}
	if err := console.SaveFile(env, to, data); err != nil {
		return err
	}
	index, term := s.Newest()
	if env.Format != console.FormatTable {
		return env.PrintDocument(map[string]any{"file": to, "size": len(data), "host": host, "member": s.Name(), "lastTerm": term, "lastIndex": index, "damage": s.Damage()})
	}
	out := console.NewSection(env)
	out.Line("%s: %d bytes, member %s, newest entry %d of term %d", console.Printable(to), len(data), console.OrDash(console.Printable(s.Name())), index, term)
	if what := s.Damage(); what != "" {
		out.Line("damage: %s", console.Printable(what))
	}
	return out.Err
}
