package etcd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdRestoreCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "a data dir that starts, from an archive, a snapshot, a database or a data dir",
		UsageText: "lifeboat etcd restore kube-backup.tar.gz --to /var/lib/etcd --dry-run\n" +
			"lifeboat etcd restore kube-backup.tar.gz --to /var/lib/etcd --replace\n" +
			"lifeboat etcd restore etcd-backup.snapshot --to restored --members all\n" +
			"lifeboat etcd restore kube-backup.tar.gz --at '20:50' --to etcd --dry-run",
		ArgsUsage: "SRC",
		Description: `The result is a cluster with a token of its own, so that no member of the old
one can come back into it, and of one member, unless --initial-cluster or
--members all says more; all are voters, and learners are left out unless
--initial-cluster names them. Name and peer URLs are those of the etcd manifest
in the archive or of --manifest, else those that the database has.

The revision grows by --bump-revision, and what stands below counts as
compacted: API servers and controllers whose caches are newer than the backup
then read everything anew, instead of acting on what no longer exists
(etcd-io/etcd#16028). auto is the newest revision of all sources given, plus
1000000000: a week of 1600 writes a second.

--at and --rev restore to a point in time: nothing of what was written after it
is in the result. The plan says what that loses.

Before the rename that puts it in place the result is checked against SRC key
by key, and a real etcd is booted on a copy of it.`,
		Flags: append(append(append(console.SourceFlags(), console.WhenFlags()...), targetFlags()...),
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member"},
			&cli.StringFlag{Name: "initial-cluster", Usage: "all members, as `NAME=URL`,NAME=URL"},
			&cli.StringFlag{Name: "members", Usage: "`WHICH` members to write: all, each to a folder of its name in --to"},
			&cli.StringSliceFlag{Name: "drop-node", Usage: "delete the Node `NAME`, its Lease and its Pods; repeatable"},
			&cli.BoolFlag{Name: "drop-masterleases", Usage: "delete the leases of API servers that are gone"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error { return runRestore(c, env, restoreVerb) },
	}
}

// targetFlags stand where a data dir is written: etcdutl's words.
func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "to", Aliases: []string{"data-dir"}, Usage: "the `DIR` to write; an empty one may exist"},
		&cli.StringFlag{Name: "wal-dir", Usage: "`DIR` for the write-ahead log, if not in --to"},
		&cli.StringFlag{Name: "initial-advertise-peer-urls", Usage: "the member's peer `URLS`"},
		&cli.StringFlag{Name: "initial-cluster-token", Usage: "`TOKEN` of the new cluster (default: a fresh one)"},
		&cli.StringFlag{Name: "manifest", Usage: "etcd's static Pod manifest `FILE`, if the archive has none"},
		&cli.StringFlag{Name: "bump-revision", Value: "auto", Usage: "raise the revision: auto, `N` or off"},
		&cli.BoolFlag{Name: "replace", Usage: "move what stands at --to aside"},
		&cli.StringFlag{Name: "owner", Usage: "`USER:GROUP` of the files (default: as what is replaced)"},
		&cli.BoolFlag{Name: "no-boot-check", Usage: "do not boot a real etcd on a copy of the result"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and write nothing"},
	}
}

// The verbs share all but the words: a rebuild is a restore of what a survivor
// holds, a repair of a data dir one of what was repaired of it.
type verb string

const (
	restoreVerb verb = "restored"
	rebuildVerb verb = "rebuilt"
	repairVerb  verb = "repaired"
)

func runRestore(c *cli.Context, env *console.Environment, as verb) error {
	to := c.String("to")
	if to == "" {
		return console.Usagef("--to is missing: the data dir to write")
	}
	opts, path, err := writingOptionsOf(c, to, c.String("wal-dir"))
	if err != nil {
		return err
	}
	viaEtcd := as == rebuildVerb && c.Bool("via-etcd")
	opts.Trailer = lifeboat.TrailerBeside
	opts.CommittedOnly = opts.CommittedOnly || viaEtcd
	src, rev, err := console.OpenAt(c, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	if as == rebuildVerb && src.Replay() == nil {
		return console.WithHint(console.Usagef("rebuild takes the data dir of a member; %q is an %s", path, src.Kind()), "lifeboat etcd restore takes it")
	}
	r := &restorer{c: c, env: env, opts: opts, src: src, to: to, verb: as}
	if viaEtcd {
		hash, err := src.ForceNewCluster(c.Context)
		if err != nil {
			return err
		}
		r.explain("the database is the one that etcd's own --force-new-cluster left on a copy: revision %d, HashKV %d, as the replay has it", hash.HashRevision, hash.Hash)
	}
	restore, err := r.options()
	if err != nil {
		return err
	}
	r.rev, restore.Revision, restore.NewestKnown = rev, rev, src.History().Revision()
	db, file, err := src.Holding(rev)
	if err != nil {
		return err
	}
	plan, err := datadir.PlanRestore(c.Context, db, file, restore)
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	if !c.Bool("dry-run") {
		return r.run(plan)
	}
	if plan.Cut != nil {
		if r.lost, err = src.Lost(c.Context, rev); err != nil {
			return err
		}
	}
	if err := src.Prove(); err != nil {
		return err
	}
	return r.printPlan(plan)
}

// restorer turns flags and what the source tells into what datadir restores.
type restorer struct {
	c    *cli.Context
	env  *console.Environment
	opts console.SourceOptions
	src  *lifeboat.Backup
	to   string
	verb verb
	rev  int64 // to restore to, 0 for the newest

	lost      *lifeboat.LostObjects // by a restore to a revision, for its plan; nil for nothing
	explained []string              // how defaults were chosen
	// awakening is nil for a database without Kubernetes objects that can be read:
	// what its owners do with it is not ours to tell.
	awakening func() *lifeboat.Awakening
}

func spoolOf(opts console.SourceOptions) snapshot.Spool {
	return snapshot.Spool{Where: opts.Spool, Dir: opts.ScratchDir}
}

func (r *restorer) explain(format string, args ...any) {
	r.explained = append(r.explained, fmt.Sprintf(format, args...))
}

func (r *restorer) options() (datadir.RestoreOptions, error) {
	o := datadir.RestoreOptions{
		Token:       r.c.String("initial-cluster-token"),
		NoBootCheck: r.c.Bool("no-boot-check"),
		Proof:       r.src.Prove,
		Spool:       spoolOf(r.opts),
	}
	var err error
	if owner := r.c.String("owner"); owner != "" {
		if o.Owner, err = datadir.ParseOwner(owner); err != nil {
			return o, console.UsageError(err)
		}
	}
	if o.Drop, err = r.src.KeysOfNodes(r.c.Context, r.c.StringSlice("drop-node"), r.c.Bool("drop-masterleases")); err != nil {
		return o, err
	}
	cluster, err := r.cluster(len(o.Drop))
	if err != nil {
		return o, err
	}
	o.Bump, o.InitialCluster = cluster.Bump, cluster.InitialCluster()
	r.explained = append(r.explained, cluster.Reasons...)
	for _, m := range cluster.Write {
		target := console.WriteTo(r.c, r.env, r.opts, r.src.Path(), r.to)
		if cluster.All {
			target.Path = filepath.Join(r.to, m.Name)
		}
		o.Members = append(o.Members, datadir.NewMember{Name: m.Name, PeerURLs: m.PeerURLs, Target: target, WALDir: r.c.String("wal-dir")})
	}
	return o, nil
}

// cluster decides who the new members are.
func (r *restorer) cluster(dropped int) (*datadir.ClusterPlan, error) {
	members := r.c.String("members")
	if members != "" && members != "all" {
		return nil, console.Usagef("--members %q: it is all; one member is chosen with --name", members)
	}
	known, err := r.src.Known(r.c.String("manifest"))
	if err != nil {
		return nil, err
	}
	var urls []string
	if text := r.c.String("initial-advertise-peer-urls"); text != "" {
		urls = strings.Split(text, ",")
	}
	return datadir.PlanCluster(known, datadir.Wanted{
		Name: r.c.String("name"), PeerURLs: urls, InitialCluster: r.c.String("initial-cluster"), WALDir: r.c.IsSet("wal-dir"),
		All: members == "all", Bump: r.c.String("bump-revision"), Dropped: dropped, Repair: r.verb == repairVerb,
	})
}

func (r *restorer) run(plan *datadir.RestorePlan) error {
	ctx, stop := context.WithCancel(r.c.Context)
	r.awakening = r.src.AwakeningBeside(ctx, r.rev)
	defer r.awakening() // it reads what is closed next
	defer stop()        // nobody wants it after an error
	phase := r.env.Progress.Start("writing and checking "+r.to, 0)
	result, err := plan.Run(r.c.Context)
	phase.Done()
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	if r.env.Format != console.FormatTable {
		return r.env.PrintDocument(r.document(result))
	}
	out := console.NewSection(r.env)
	for _, m := range result.Members {
		out.Line("%s %s: member %s, revision %d, %d keys, HashKV %d", r.verb, console.Printable(m.DataDir), console.Printable(m.Name), result.NewRevision, result.Keys, result.Hash.Hash)
		printUndo(out, m.Renames, m.Aside)
	}
	if len(result.Boots) > 0 {
		out.Line("a real etcd was booted on a copy of each and read the same")
	}
	r.printNext(out, result.RestorePlan)
	return out.Err
}

type restoreDocument struct {
	*datadir.Restored
	Tail      []datadir.Span   `json:"walTail,omitempty"`
	NotProven []datadir.Change `json:"notProven,omitempty"` // kept all the same
	Explained []string         `json:"explained"`
	Next      []string         `json:"next"`

	Awakening *lifeboat.Awakening `json:"awakening,omitempty"` // what the controllers will do

	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
}

func (r *restorer) document(result *datadir.Restored) restoreDocument {
	doc := restoreDocument{Restored: result, Explained: r.explained, Next: result.Next(), Awakening: r.awakening(), Evidence: r.src.Evidence()}
	if replay := r.src.Replay(); replay != nil {
		doc.Tail, doc.NotProven = replay.Spans, replay.Unproven
	}
	return doc
}

func (r *restorer) printPlan(plan *datadir.RestorePlan) error {
	if r.env.Format != console.FormatTable {
		return r.env.PrintDocument(struct {
			*datadir.RestorePlan
			Lost      *lifeboat.LostObjects `json:"lost,omitempty"`
			Explained []string              `json:"explained"`
			Evidence  *datadir.Evidence     `json:"evidence,omitempty"` // of a data dir
		}{plan, r.lost, r.explained, r.src.Evidence()})
	}
	out := console.NewSection(r.env)
	out.Line("Plan (nothing is written):")
	for _, step := range plan.Steps() {
		out.Line("  %s", console.Printable(step))
	}
	out.Line("Of the new cluster:")
	out.Line("  --initial-cluster %s", console.Printable(plan.InitialCluster))
	out.Line("  --initial-cluster-token %s", console.Printable(plan.Token))
	for _, key := range plan.Drop {
		out.Line("  delete %s", console.Printable(key))
	}
	if plan.Alarms > 0 {
		out.Line("  clear %d alarms of the old cluster's members", plan.Alarms)
	}
	if r.lost != nil {
		out.Line("Lost, of what was written after revision %d: %d changes", plan.Revision, plan.Cut.Records)
		for _, line := range r.lost.Lines() {
			out.Line("  %s", console.Printable(line))
		}
		if plan.Cut.Leaseless > 0 {
			out.Line("  %d keys whose lease is gone stay until somebody deletes them", plan.Cut.Leaseless)
		}
	}
	out.Line("Why:")
	for _, line := range r.explained {
		out.Line("  %s", console.Printable(line))
	}
	return out.Err
}

func (r *restorer) printNext(out *console.Section, plan *datadir.RestorePlan) {
	for _, line := range r.explained {
		r.env.Note("%s", line)
	}
	out.Heading("Next")
	for _, step := range plan.Next() {
		out.Line("  %s", console.Printable(step))
	}
	if a := r.awakening(); a != nil && a.String() != "" {
		out.Line("  %s", a)
	}
}
