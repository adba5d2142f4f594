package etcd

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func etcdStatusCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what etcdctl endpoint status would say, offline",
		UsageText: "lifeboat etcd status /var/lib/etcd\nlifeboat etcd status etcd-backup.snapshot -o json",
		ArgsUsage: "SRC",
		Description: `The page structure is checked and every record counted. The sha256 trailer of a
snapshot file is not: that would take several times as long as all the rest.
--require-hash has it checked, and so do inspect, hash and restore.`,
		Flags: append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			trailer := lifeboat.TrailerNever
			if c.Bool("require-hash") {
				trailer = lifeboat.TrailerFirst
			}
			return withSource(c, env, trailer, func(src *lifeboat.Backup) error { return etcdStatus(c.Context, env, src) })
		},
	}
}

func etcdStatus(ctx context.Context, env *console.Environment, src *lifeboat.Backup) error {
	s, err := src.EndpointStatus(ctx)
	switch {
	case err != nil:
		return err
	case env.Format != console.FormatTable:
		return env.PrintDocument(map[string]any{"items": []*lifeboat.EndpointStatus{s}})
	}
	return s.WriteText(env.Stdout)
}
