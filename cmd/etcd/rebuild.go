package etcd

import (
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func etcdRebuildCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "rebuild",
		Usage: "a cluster of one out of a survivor, after the quorum is lost",
		UsageText: "lifeboat etcd rebuild /var/lib/etcd --to /var/lib/etcd.new --dry-run\n" +
			"lifeboat etcd rebuild /var/lib/etcd --peer-dir /mnt/etcd-1 --to etcd.new\n" +
			"lifeboat etcd rebuild /var/lib/etcd --to /var/lib/etcd --replace",
		ArgsUsage: "DIR",
		Description: `What etcd's --force-new-cluster is for, without booting it, without its loss:
the newest acknowledged write often stands beyond the commit that the survivor
has recorded, where --force-new-cluster cuts. rebuild keeps the whole log and
says what of it is not proven committed. --committed-only cuts as etcd does:
acknowledged writes may be lost.

With --peer-dir the dir whose log is newest is used, whichever stands first;
with the whole dirs of a majority of the voters at hand it has every
acknowledged write. Without them, a dir that goes beyond the result, or may
where it is damaged, is refused; --accept-loss goes on. The result is the
member whose dir stands first, in a new cluster with a token and an id of its
own: members of the old one cannot come back into it, and join as new ones.`,
		Flags: append(append(console.SourceFlags(), targetFlags()...),
			&cli.BoolFlag{Name: "via-etcd", Usage: "take the database that etcd's own --force-new-cluster leaves, run on a copy: the cut of --committed-only, held against it"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member"},
			&cli.StringFlag{Name: "initial-cluster", Usage: "all members, as `NAME=URL`,NAME=URL"},
			&cli.StringFlag{Name: "members", Usage: "`WHICH` members to write: all, each to a folder of its name in --to"},
			&cli.StringSliceFlag{Name: "drop-node", Usage: "delete the Node `NAME`, its Lease and its Pods; repeatable"},
			&cli.BoolFlag{Name: "drop-masterleases", Usage: "delete the leases of API servers that are gone"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error { return runRestore(c, env, rebuildVerb) },
	}
}
