package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdRepairCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "repair",
		Usage: "a database that is full: disarm, compact, defragment, offline",
		UsageText: "lifeboat etcd repair /var/lib/etcd --to etcd.new --compact --defrag\n" +
			"lifeboat etcd repair old.snapshot --to new.snapshot --compact --defrag \\\n" +
			"    --keep-revisions 1000",
		ArgsUsage: "SRC",
		Description: `Of a data dir the result is a data dir, of anything else a snapshot. SRC stays.

A data dir becomes a cluster of one, as with rebuild: a member that was
compacted and disarmed by itself would apply what the others refuse, and the
cluster would fall apart in silence. The other members join as new ones. Every
living key is kept with its revisions and its lease, so the revision is not
raised unless --bump-revision says so.`,
		Flags: append(append(sourceFlags(), repairTargetFlags()...),
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member"},
			&cli.StringFlag{Name: "initial-cluster", Usage: "all members, as `NAME=URL`,NAME=URL"},
			&cli.BoolFlag{Name: "disarm", Usage: "clear the alarms (of a data dir that is always done)"},
			&cli.BoolFlag{Name: "compact", Usage: "drop the history"},
			&cli.Int64Flag{Name: "keep-revisions", Usage: "with --compact: keep the newest `N` revisions"},
			&cli.BoolFlag{Name: "defrag", Usage: "write the pages anew, without free ones"},
			outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error { return runRepair(c, env) },
	}
}

// repairTargetFlags are those of a restore; the revision stays by itself.
func repairTargetFlags() []cli.Flag {
	flags := targetFlags()
	for _, flag := range flags {
		if f, ok := flag.(*cli.StringFlag); ok && f.Name == "bump-revision" {
			f.Value = "off"
		}
	}
	return flags
}

func runRepair(c *cli.Context, env *environment) error {
	do := datadir.RepairOptions{Disarm: c.Bool("disarm"), Compact: c.Bool("compact"), Keep: c.Int64("keep-revisions"), Defrag: c.Bool("defrag")}
	to := c.String("to")
	switch {
	case to == "":
		return usagef("--to is missing: what to write")
	case !do.Disarm && !do.Compact && !do.Defrag:
		return usagef("nothing to do: say --disarm, --compact or --defrag")
	case c.IsSet("keep-revisions") && !do.Compact:
		return usagef("--keep-revisions goes with --compact")
	case do.Keep < 0:
		return usagef("--keep-revisions %d is negative", do.Keep)
	}
	opts, path, err := writingOptionsOf(c, to, c.String("wal-dir"))
	if err != nil {
		return err
	}
	opts.trailer = trailerBeside
	src, err := openSource(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	do.Spool = snapshot.Spool{Where: snapshot.Where(opts.Spool), Dir: opts.spoolDir}
	r := &repairer{c: c, env: env, opts: opts, src: src, to: to, do: do}
	if c.Bool("dry-run") {
		return errors.Join(src.prove(), r.plan())
	}
	return r.run()
}

type repairer struct {
	c    *cli.Context
	env  *environment
	opts sourceOptions
	src  *source
	to   string
	do   datadir.RepairOptions
}

// repairReport is what repair shows; -o json prints it as it stands.
type repairReport struct {
	*datadir.Repaired
	Target string `json:"target"`
}

func (r *repairer) run() error {
	ctx := r.c.Context
	if r.src.replay == nil {
		if _, err := os.Lstat(r.to); err == nil {
			return targetHint(fmt.Errorf("writing %q: %w", r.to, os.ErrExist))
		}
	}
	phase := r.env.progress.Start("repairing a copy", 0)
	repaired, err := datadir.Repair(ctx, r.src.db, r.src.file, r.do)
	phase.Done()
	if err != nil {
		return err
	}
	if err := r.src.prove(); err != nil {
		return errors.Join(err, repaired.File.Close())
	}
	if r.src.replay != nil {
		err = r.writeDir(repaired)
	} else {
		_, err = datadir.Save(ctx, repaired.File, repaired.After.Size, r.to)
		err = errors.Join(err, repaired.File.Close())
	}
	if err != nil {
		return targetHint(err)
	}
	if r.env.format != formatTable {
		return r.env.printDocument(repairReport{repaired, r.to})
	}
	return r.print(repaired)
}

// writeDir makes a data dir of the repaired database, as restore does.
func (r *repairer) writeDir(repaired *datadir.Repaired) error {
	ctx := r.c.Context
	db, err := snapshot.OpenFile(ctx, repaired.File)
	if err != nil {
		return err
	}
	defer db.Close()
	src := *r.src
	src.db, src.file = db, repaired.File
	rs := &restorer{c: r.c, env: r.env, opts: r.opts, src: &src, to: r.to, verb: restoreVerb}
	options, err := rs.options()
	if err != nil {
		return err
	}
	plan, err := datadir.PlanRestore(ctx, db, repaired.File, options)
	if err != nil {
		return err
	}
	_, err = plan.Run(ctx)
	return err
}

func (r *repairer) plan() error {
	info, err := r.src.db.Info(r.c.Context)
	if err != nil {
		return err
	}
	alarms, err := r.src.db.Alarms()
	if err != nil {
		return err
	}
	var steps []string
	if r.do.Compact {
		steps = append(steps, fmt.Sprintf("compact to revision %d of %d", max(0, info.Revision-r.do.Keep), info.Revision))
	}
	if r.do.Disarm || r.src.replay != nil {
		steps = append(steps, fmt.Sprintf("clear %d alarms", len(alarms)))
	}
	if r.do.Defrag {
		steps = append(steps, fmt.Sprintf("write %s in use anew, of %s", humanize.Bytes(uint64(info.SizeInUse)), humanize.Bytes(uint64(info.Size))))
	}
	steps = append(steps, "check it against SRC, key by key", "write "+r.to)
	if r.env.format != formatTable {
		return r.env.printDocument(map[string]any{"plan": steps, "before": info, "alarms": alarms, "time": time.Now().UTC()})
	}
	out := newSection(r.env)
	out.line("Plan (nothing is written):")
	for _, step := range steps {
		out.line("  %s", printable(step))
	}
	return out.err
}

func (r *repairer) print(repaired *datadir.Repaired) error {
	out := newSection(r.env)
	b, a := repaired.Before, repaired.After
	out.table([][]string{
		{"STATE", "DB SIZE", "IN USE", "RECORDS", "KEYS", "COMPACTED"},
		sizesOf("before", b),
		sizesOf("after", a),
	})
	var names []string
	for _, alarm := range repaired.Alarms {
		names = append(names, fmt.Sprintf("%s of member %x", alarm.Alarm, alarm.MemberID))
	}
	switch {
	case len(names) == 0:
		out.line("no alarm was raised")
	case r.do.Disarm || r.src.replay != nil:
		out.line("disarmed: %s", strings.Join(names, ", "))
	default:
		out.line("still raised: %s (--disarm clears)", strings.Join(names, ", "))
	}
	out.line("wrote %s", printable(r.to))
	return out.err
}

func sizesOf(state string, i snapshot.Info) []string {
	return []string{
		state, humanize.Bytes(uint64(i.Size)), humanize.Bytes(uint64(i.SizeInUse)),
		strconv.FormatInt(i.Records, 10), strconv.FormatInt(i.LiveKeys, 10), strconv.FormatInt(max(0, i.CompactRevision), 10),
	}
}
