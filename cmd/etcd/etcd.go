// Package etcd holds the verbs of `lifeboat etcd`: databases, snapshots and
// members' data dirs, offline.
package etcd

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// EtcdCommand is the family of verbs that need no Kubernetes: databases,
// snapshots and members' data dirs, offline.
func EtcdCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "etcd",
		Usage: "databases and data dirs: look, save, restore, rebuild, repair",
		UsageText: "lifeboat etcd status /var/lib/etcd\n" +
			"lifeboat etcd compare /var/lib/etcd /mnt/master-1/etcd\n" +
			"lifeboat etcd restore kube-backup.tar.gz --to /var/lib/etcd",
		Subcommands: []*cli.Command{
			etcdStatusCommand(env),
			etcdMembersCommand(env),
			etcdAlarmsCommand(env),
			etcdUsageCommand(env),
			etcdHashCommand(env),
			etcdKeysCommand(env),
			etcdSaveCommand(env),
			etcdRestoreCommand(env),
			etcdRebuildCommand(env),
			etcdCollectCommand(env),
			etcdCompareCommand(env),
			etcdRepairCommand(env),
		},
	}
}

// withSource opens the one SRC of a command and hands it to do.
func withSource(c *cli.Context, env *console.Environment, trailer lifeboat.TrailerCheck, do func(src *lifeboat.Backup) error) error {
	path, err := console.OneArgument(c, "SRC")
	if err != nil {
		return err
	}
	opts, err := console.SourceOptionsOf(c)
	if err != nil {
		return err
	}
	opts.Trailer = trailer
	src, err := console.OpenSource(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	return do(src)
}
