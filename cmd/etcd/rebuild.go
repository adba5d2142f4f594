package etcd

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
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

// viaEtcd takes the database that etcd's own --force-new-cluster leaves on a
// copy, in place of the replay's, when both hold the same.
func (r *restorer) viaEtcd() error {
	ctx, s := r.c.Context, r.src.Replay.Survivor
	if s.Info.StorageVersion == "" {
		return console.WithHint(console.Refusef("--via-etcd: %q is of etcd 3.5 or older, whose log ends the linked etcd", r.src.Path),
			"leave --via-etcd out; --committed-only cuts where that etcd's own --force-new-cluster cuts")
	}
	phase := r.env.Progress.Start("running etcd's --force-new-cluster on a copy", 0)
	defer phase.Done()
	if err := r.env.Sweep(r.opts.SpoolDir); err != nil {
		return err
	}
	if err := s.Dir.SpaceForCopy(r.opts.SpoolDir); err != nil {
		return targetHint(err)
	}
	own, err := r.src.Db.Info(ctx)
	if err != nil {
		return err
	}
	keep := etcdproc.Versions{Cluster: own.ClusterVersion, Storage: own.StorageVersion}
	file, err := etcdproc.ForceNewCluster(ctx, s.Dir.Path, s.Dir.SeparateWAL(), r.opts.SpoolDir, keep)
	if err != nil {
		return console.WithHint(err, "without --via-etcd the log is replayed entry by entry, and damage named")
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	if err := r.sameAs(db, own); err != nil {
		return errors.Join(err, db.Close())
	}
	if r.members, err = r.known(); err != nil { // the boot gave the member another name
		return errors.Join(err, db.Close())
	}
	err = r.src.Close()
	r.src.Db, r.src.File = db, file
	return err
}

// sameAs holds etcd's database against the replay's, in r.src.
func (r *restorer) sameAs(db *snapshot.DB, own snapshot.Info) error {
	ctx := r.c.Context
	theirs, err := db.Info(ctx)
	if err != nil {
		return err
	}
	hash, err := db.HashKV(ctx, 0)
	if err != nil {
		return err
	}
	want, err := r.src.Db.HashKV(ctx, 0)
	if err != nil {
		return err
	}
	if hash != want || theirs.LiveKeys != own.LiveKeys || theirs.Leases != own.Leases {
		return fmt.Errorf("etcd's own --force-new-cluster comes to revision %d, HashKV %d, %d keys, %d leases; the replay to %d, %d, %d, %d: %w",
			hash.HashRevision, hash.Hash, theirs.LiveKeys, theirs.Leases, want.HashRevision, want.Hash, own.LiveKeys, own.Leases, snapshot.ErrDamaged)
	}
	r.explain("the database is the one that etcd's own --force-new-cluster left on a copy: revision %d, HashKV %d, as the replay has it", hash.HashRevision, hash.Hash)
	return nil
}
