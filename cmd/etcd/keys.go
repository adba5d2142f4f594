package etcd

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func etcdHashCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "hash",
		Usage: "what etcdctl endpoint hashkv would say",
		UsageText: "lifeboat etcd hash /var/lib/etcd\n" +
			"lifeboat etcd hash etcd-backup.snapshot --rev 1485",
		ArgsUsage: "SRC",
		Flags: append(console.SourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, lifeboat.TrailerBeside, func(src *lifeboat.Backup) error {
				hash, err := src.DB().HashKV(c.Context, c.Int64("rev"))
				if err := errors.Join(err, src.Prove()); err != nil {
					return err
				}
				if env.Format != console.FormatTable {
					return env.PrintDocument(map[string]any{"items": []lifeboat.EndpointHash{src.EndpointHash(hash)}})
				}
				t := console.NewTable(env.Stdout, "ENDPOINT", "HASH", "HASH REVISION", "COMPACT REVISION")
				t.Row(src.Path(), strconv.FormatUint(uint64(hash.Hash), 10), strconv.FormatInt(hash.HashRevision, 10), strconv.FormatInt(hash.CompactRevision, 10))
				return t.Flush()
			})
		},
	}
}

func etcdKeysCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "etcd's keys, without their values",
		UsageText: "lifeboat etcd keys etcd-backup.snapshot /registry/secrets/\n" +
			"lifeboat etcd keys /var/lib/etcd -o wide",
		ArgsUsage: "SRC [PREFIX]",
		Flags: append(console.SourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			console.OutputFlag(env, console.FormatName, console.FormatWide, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return console.Usagef("keys takes SRC and, if wanted, PREFIX")
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			src, err := console.OpenSource(c.Context, env, opts, c.Args().First())
			if err != nil {
				return err
			}
			defer src.Close()
			return etcdKeys(c, env, src)
		},
	}
}

func etcdKeys(c *cli.Context, env *console.Environment, src *lifeboat.Backup) error {
	list, err := src.KeyList(c.Context, c.Int64("rev"), c.Args().Get(1))
	if err != nil {
		return err
	}
	switch env.Format {
	case console.FormatJSON, console.FormatYAML:
		return env.PrintDocument(list)
	case console.FormatWide:
		return list.WriteText(env.Stdout)
	}
	for _, k := range list.Keys {
		if _, err := fmt.Fprintln(env.Stdout, console.Printable(k.Key)); err != nil {
			return err
		}
	}
	return nil
}
