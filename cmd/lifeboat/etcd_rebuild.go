package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func etcdRebuildCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "rebuild",
		Usage: "a cluster of one out of a survivor, after the quorum is lost",
		UsageText: "lifeboat etcd rebuild /var/lib/etcd --to /var/lib/etcd.new --dry-run\n" +
			"lifeboat etcd rebuild /var/lib/etcd --peer-dir /mnt/etcd-1 --to etcd.new\n" +
			"lifeboat etcd rebuild /var/lib/etcd --to /var/lib/etcd --replace",
		ArgsUsage: "DIR",
		Description: `What etcd's --force-new-cluster is for, without booting it, without its loss:
the newest acknowledged write often stands beyond the commit that the survivor
has recorded, where --force-new-cluster cuts. rebuild keeps the whole log, says
what of it is not proven committed, and --committed-only cuts.

With --peer-dir the dir whose log is newest is used, whichever stands first;
with the dirs of a majority of the voters at hand it has every acknowledged
write. The result is a new cluster with a token and an id of its own: members
of the old one cannot come back into it, and join as new ones.`,
		Flags: append(append(sourceFlags(), targetFlags()...),
			&cli.BoolFlag{Name: "via-etcd", Usage: "cut where etcd's own --force-new-cluster cuts, and hold the result against it: it is run on a copy, in a child process"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member"},
			&cli.StringFlag{Name: "initial-cluster", Usage: "all members, as `NAME=URL`,NAME=URL"},
			&cli.StringFlag{Name: "members", Usage: "`WHICH` members to write: all, each to a folder of its name in --to"},
			&cli.StringSliceFlag{Name: "drop-node", Usage: "delete the Node `NAME`, its Lease and its Pods; repeatable"},
			&cli.BoolFlag{Name: "drop-masterleases", Usage: "delete the leases of API servers that are gone"},
			outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error { return runRestore(c, env, rebuildVerb) },
	}
}

// viaEtcd runs etcd's own --force-new-cluster on a copy and compares.
func (r *restorer) viaEtcd() error {
	phase := r.env.progress.Start("running etcd's --force-new-cluster on a copy", 0)
	defer phase.Done()
	ctx := r.c.Context
	trial, err := etcdproc.Try(ctx, r.src.replay.Survivor.Dir.Path, "", r.opts.spoolDir)
	if err != nil {
		return withHint(err, "a log of etcd 3.5 or older ends the linked etcd; without --via-etcd it is read")
	}
	hash, err := r.src.db.HashKV(ctx, 0)
	if err != nil {
		return err
	}
	if hash.Hash != trial.Hash || hash.HashRevision != trial.Revision {
		return fmt.Errorf("etcd's own --force-new-cluster comes to revision %d, HashKV %d; the replay to %d, %d: %w",
			trial.Revision, trial.Hash, hash.HashRevision, hash.Hash, snapshot.ErrDamaged)
	}
	r.explain("etcd's own --force-new-cluster, run on a copy, comes to the same: revision %d, HashKV %d", trial.Revision, trial.Hash)
	return nil
}
