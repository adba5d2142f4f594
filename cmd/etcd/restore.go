package etcd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

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
			"lifeboat etcd restore etcd-backup.snapshot --to restored --members all",
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

Before the rename that puts it in place the result is checked against SRC key
by key, and a real etcd is booted on a copy of it.`,
		Flags: append(append(console.SourceFlags(), targetFlags()...),
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
	opts.Trailer = console.TrailerBeside
	opts.CommittedOnly = opts.CommittedOnly || viaEtcd
	src, err := console.OpenSource(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	if as == rebuildVerb && src.Replay == nil {
		return console.WithHint(console.Usagef("rebuild takes the data dir of a member; %q is an %s", path, src.Kind), "lifeboat etcd restore takes it")
	}
	r := &restorer{c: c, env: env, opts: opts, src: src, to: to, verb: as}
	if viaEtcd {
		if err := r.viaEtcd(); err != nil {
			return err
		}
	}
	restore, err := r.options()
	if err != nil {
		return err
	}
	plan, err := datadir.PlanRestore(c.Context, src.Db, src.File, restore)
	if err != nil {
		return targetHint(err)
	}
	if c.Bool("dry-run") {
		if err := src.Prove(); err != nil {
			return err
		}
		return r.printPlan(plan)
	}
	return r.run(plan)
}

// restorer turns flags, manifest and database into what datadir restores.
type restorer struct {
	c    *cli.Context
	env  *console.Environment
	opts console.SourceOptions
	src  *console.Source
	to   string
	verb verb

	members   []clusterMember // of the old cluster; nil for those of src.db
	explained []string        // how defaults were chosen
}

func (r *restorer) explain(format string, args ...any) {
	r.explained = append(r.explained, fmt.Sprintf(format, args...))
}

func (r *restorer) options() (datadir.RestoreOptions, error) {
	o := datadir.RestoreOptions{
		Token:       r.c.String("initial-cluster-token"),
		NoBootCheck: r.c.Bool("no-boot-check"),
		Proof:       r.src.Prove,
		Spool:       snapshot.Spool{Where: snapshot.Where(r.opts.Spool), Dir: r.opts.SpoolDir},
	}
	var err error
	if owner := r.c.String("owner"); owner != "" {
		if o.Owner, err = datadir.ParseOwner(owner); err != nil {
			return o, console.UsageError(err)
		}
	}
	if o.Bump, err = r.bump(); err != nil {
		return o, err
	}
	if o.Drop, err = r.drop(r.c.Context); err != nil {
		return o, err
	}
	names, err := r.cluster()
	if err != nil {
		return o, err
	}
	o.InitialCluster = names.String()
	for _, m := range names.write {
		target := console.WriteTo(r.c, r.env, r.opts, r.src.Path, r.to)
		if names.all {
			target.Path = filepath.Join(r.to, m.name)
		}
		o.Members = append(o.Members, datadir.NewMember{Name: m.name, PeerURLs: m.urls, Target: target, WALDir: r.c.String("wal-dir")})
	}
	return o, nil
}

func (r *restorer) run(plan *datadir.RestorePlan) error {
	phase := r.env.Progress.Start("writing and checking "+r.to, 0)
	result, err := plan.Run(r.c.Context)
	phase.Done()
	if err != nil {
		return targetHint(err)
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
}

func (r *restorer) document(result *datadir.Restored) restoreDocument {
	doc := restoreDocument{Restored: result, Explained: r.explained, Next: r.next(result.RestorePlan)}
	if replay := r.src.Replay; replay != nil {
		doc.Tail, doc.NotProven = replay.Spans, replay.Unproven
	}
	return doc
}

func (r *restorer) printPlan(plan *datadir.RestorePlan) error {
	if r.env.Format != console.FormatTable {
		return r.env.PrintDocument(struct {
			*datadir.RestorePlan
			Explained []string `json:"explained"`
		}{plan, r.explained})
	}
	out := console.NewSection(r.env)
	out.Line("Plan (nothing is written):")
	for _, step := range memberSteps(plan) {
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
	out.Line("Why:")
	for _, line := range r.explained {
		out.Line("  %s", console.Printable(line))
	}
	return out.Err
}

// memberSteps is what is done for each member.
func memberSteps(plan *datadir.RestorePlan) []string {
	var steps []string
	step := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	for _, m := range plan.Members {
		step("build %s as member %s, peer URLs %s", m.Builds, m.Name, strings.Join(m.PeerURLs, ","))
		step("check it against SRC: %d keys, revision %d", plan.Keys, plan.NewRevision)
		if plan.BootCheck {
			step("boot a real etcd on a copy of it, compare HashKV and the number of keys")
		}
		if m.WALDir != "" {
			step("put its log into %s", m.WALDir)
		}
		if m.Aside != "" {
			step("move %s to %s", m.Renames, m.Aside)
		}
		step("rename it to %s", m.Renames)
	}
	step("at most %d bytes are needed for each member", plan.Bytes)
	return steps
}

// next is what has to be done before the cluster can be used.
func (r *restorer) next(plan *datadir.RestorePlan) []string {
	steps := []string{}
	for _, m := range plan.Members {
		flags := fmt.Sprintf("start etcd with --name=%s --data-dir=%s --initial-advertise-peer-urls=%s", m.Name, m.Renames, strings.Join(m.PeerURLs, ","))
		if filepath.Base(m.Renames) == "member" {
			flags = strings.Replace(flags, m.Renames, m.DataDir, 1)
		}
		if m.WALDir != "" {
			flags += " --wal-dir=" + m.WALDir
		}
		steps = append(steps, flags+" (as in its manifest); no --force-new-cluster")
	}
	steps = append(steps, "restart kube-apiserver, kube-controller-manager, kube-scheduler and the kubelets: their caches are newer than the data")
	if !strings.Contains(plan.InitialCluster, ",") {
		steps = append(steps, "further masters join as new members, with empty data dirs: etcdctl member add")
	}
	return steps
}

func (r *restorer) printNext(out *console.Section, plan *datadir.RestorePlan) {
	for _, line := range r.explained {
		r.env.Note("%s", line)
	}
	out.Heading("Next")
	for _, step := range r.next(plan) {
		out.Line("  %s", console.Printable(step))
	}
}

var errNoMember = errors.New("it is not known which member to write")

func (r *restorer) drop(ctx context.Context) ([][]byte, error) {
	d := dropper{env: r.env, src: r.src, opts: r.opts, nodes: r.c.StringSlice("drop-node"), masterLeases: r.c.Bool("drop-masterleases")}
	keys, err := d.keys(ctx)
	if err == nil && len(keys) > 0 {
		r.explain("%d keys are deleted, as etcd deletes them: at a revision of their own", len(keys))
	}
	return keys, err
}
