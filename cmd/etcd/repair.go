package etcd

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdRepairCommand(env *console.Environment) *cli.Command {
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
		Flags: append(append(console.SourceFlags(), repairTargetFlags()...),
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member"},
			&cli.StringFlag{Name: "initial-cluster", Usage: "all members, as `NAME=URL`,NAME=URL"},
			&cli.BoolFlag{Name: "disarm", Usage: "clear the alarms (of a data dir that is always done)"},
			&cli.BoolFlag{Name: "compact", Usage: "drop the history"},
			&cli.Int64Flag{Name: "keep-revisions", Usage: "with --compact: keep the newest `N` revisions"},
			&cli.BoolFlag{Name: "defrag", Usage: "write the pages anew, without free ones"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
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

func runRepair(c *cli.Context, env *console.Environment) error {
	do := datadir.RepairOptions{Disarm: c.Bool("disarm"), Compact: c.Bool("compact"), Keep: c.Int64("keep-revisions"), Defrag: c.Bool("defrag")}
	to := c.String("to")
	switch {
	case to == "":
		return console.Usagef("--to is missing: what to write")
	case !do.Disarm && !do.Compact && !do.Defrag:
		return console.Usagef("nothing to do: say --disarm, --compact or --defrag")
	case c.IsSet("keep-revisions") && !do.Compact:
		return console.Usagef("--keep-revisions goes with --compact")
	case do.Keep < 0:
		return console.Usagef("--keep-revisions %d is negative", do.Keep)
	}
	opts, path, err := writingOptionsOf(c, to, c.String("wal-dir"))
	if err != nil {
		return err
	}
	opts.Trailer = lifeboat.TrailerBeside
	src, err := console.OpenSource(c.Context, env, opts, path)
	if err != nil {
		return err
	}
	defer src.Close()
	do.Spool = spoolOf(opts)
	r := &repairer{c: c, env: env, opts: opts, src: src, to: to, do: do}
	if c.Bool("dry-run") {
		return errors.Join(src.Prove(), r.plan())
	}
	return r.run()
}

type repairer struct {
	c    *cli.Context
	env  *console.Environment
	opts console.SourceOptions
	src  *lifeboat.Backup
	to   string
	do   datadir.RepairOptions
}

// repairReport is what repair shows; -o json prints it as it stands.
type repairReport struct {
	*datadir.Repaired
	Target  string            `json:"target"`
	Aside   string            `json:"aside,omitempty"`   // where the file went that stood there
	DataDir *datadir.Restored `json:"dataDir,omitempty"` // of a data dir
	Next    []string          `json:"next,omitempty"`
}

func (r *repairer) run() error {
	ctx := r.c.Context
	if err := r.refuse(); err != nil {
		return lifeboat.HintTarget(err)
	}
	phase := r.env.Progress.Start("repairing a copy", 0)
	repaired, err := datadir.Repair(ctx, r.src.DB(), r.src.File(), r.do)
	phase.Done()
	if err != nil {
		return err
	}
	if err := r.src.Prove(); err != nil {
		return errors.Join(err, repaired.File.Close())
	}
	report := repairReport{Repaired: repaired, Target: r.to}
	if r.src.Replay() != nil {
		err = r.writeDir(&report)
	} else {
		var written datadir.Saved
		written, err = datadir.Save(ctx, repaired.File, repaired.After.Size, console.WriteTo(r.c, r.env, r.opts, r.src.Path(), r.to))
		report.Aside = written.Aside
		err = errors.Join(err, repaired.File.Close())
	}
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	if r.env.Format != console.FormatTable {
		return r.env.PrintDocument(report)
	}
	return r.print(report)
}

// refuse says before the work what would be refused after it.
func (r *repairer) refuse() error {
	if r.src.Replay() != nil {
		_, _, err := r.planDir(r.src.DB(), r.src.File())
		return err
	}
	if _, err := os.Lstat(r.to); err == nil && !r.c.Bool("replace") {
		return fmt.Errorf("writing %q: %w", r.to, os.ErrExist)
	}
	return nil
}

// writeDir makes a data dir of the repaired database, as restore does.
func (r *repairer) writeDir(report *repairReport) error {
	ctx := r.c.Context
	db, err := snapshot.OpenFile(ctx, report.File)
	if err != nil {
		return err
	}
	defer db.Close()
	rs, plan, err := r.planDir(db, report.File)
	if err != nil {
		return err
	}
	phase := r.env.Progress.Start("writing and checking "+r.to, 0)
	report.DataDir, err = plan.Run(ctx)
	phase.Done()
	if err != nil {
		return err
	}
	for _, line := range rs.explained {
		r.env.Note("%s", line)
	}
	report.Next = plan.Next()
	return nil
}

func (r *repairer) planDir(db *snapshot.DB, file *os.File) (*restorer, *datadir.RestorePlan, error) {
	rs := &restorer{c: r.c, env: r.env, opts: r.opts, src: r.src, to: r.to, verb: repairVerb}
	options, err := rs.options()
	if err != nil {
		return nil, nil, err
	}
	plan, err := datadir.PlanRestore(r.c.Context, db, file, options)
	return rs, plan, err
}
