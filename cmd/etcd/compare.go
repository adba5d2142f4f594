package etcd

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdCompareCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "compare",
		Usage: "which survivor to build from, and what differs between them",
		UsageText: "lifeboat etcd compare /var/lib/etcd /mnt/master-1/etcd\n" +
			"lifeboat etcd compare /var/lib/etcd etcd-backup.snapshot -o json",
		ArgsUsage: "SRC SRC...",
		Flags:     append(console.SourceFlags(), console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return console.Usagef("compare takes two data dirs or more; a snapshot may stand among them")
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			if len(opts.PeerDirs) > 0 || opts.CommittedOnly {
				return console.Usagef("compare takes all dirs as arguments, and each of them whole: no --peer-dir, no --committed-only")
			}
			cmp := &comparison{env: env, opts: opts}
			defer cmp.close()
			if err := cmp.run(c.Context, c.Args().Slice()); err != nil {
				return err
			}
			return cmp.print()
		},
	}
}

// comparison is what compare shows; -o json prints it as it stands.
type comparison struct {
	Rows           []*comparedRow `json:"items"`
	CommonRevision int64          `json:"commonRevision"` // the newest one that all of them have
	Differences    []comparedKey  `json:"differences"`    // at each row's own newest revision
	Recommended    string         `json:"recommended,omitempty"`
	Reasons        []string       `json:"reasons"`
	env            *console.Environment
	opts           console.SourceOptions
	cells          map[string][]cell // of each key, one per row
	seed           maphash.Seed
}

type comparedRow struct {
	Path      string         `json:"path"`
	Member    string         `json:"member,omitempty"`
	MemberID  uint64         `json:"memberID,omitempty"`
	LastTerm  uint64         `json:"lastTerm"`
	LastIndex uint64         `json:"lastIndex"`
	Commit    uint64         `json:"commitIndex,omitempty"` // newest on record
	Applied   uint64         `json:"raftAppliedIndex"`      // by the database, before its log
	Revision  int64          `json:"revision"`
	Hash      *snapshot.Hash `json:"hashKV,omitempty"` // at the common revision
	Damage    string         `json:"damage,omitempty"`

	survivor *datadir.Survivor // nil for a snapshot
	replay   *datadir.Replay   // nil for a snapshot, and where it cannot be read; its file is closed
	readable bool
	hashedAt int64
	db       *snapshot.DB // of a snapshot, which may have come through a pipe; a dir's is opened when it is read
}

// comparedKey is a key that is not the same everywhere: its mod_revision in
// each row, 0 where it is absent.
type comparedKey struct {
	Key       string  `json:"key"`
	Object    string  `json:"object"` // the key, where it is none of Kubernetes'
	Revisions []int64 `json:"revisions"`
}

func (c *comparison) close() {
	for _, r := range c.Rows {
		if r.db != nil {
			r.db.Close()
		}
	}
}

func (c *comparison) run(ctx context.Context, paths []string) error {
	phase := c.env.Progress.Start("reading", 0)
	defer phase.Done()
	if err := c.opts.CheckWALDirs(len(paths)); err != nil {
		return err
	}
	c.cells, c.seed = map[string][]cell{}, maphash.MakeSeed()
	for _, path := range paths {
		c.Rows = append(c.Rows, &comparedRow{Path: path})
	}
	for i, row := range c.Rows {
		if err := c.read(ctx, row, i); err != nil {
			return err
		}
	}
	for _, row := range c.Rows {
		if !row.readable || row.hashedAt == c.CommonRevision {
			continue
		}
		if err := c.with(ctx, row, c.hash); err != nil {
			return err
		}
	}
	c.differ()
	return c.recommend()
}

func (c *comparison) readable() int {
	n := 0
	for _, r := range c.Rows {
		if r.readable {
			n++
		}
	}
	return n
}

// differ lists the keys that are not the same in all rows that can be read.
func (c *comparison) differ() {
	c.Differences = []comparedKey{}
	for path, cells := range c.cells {
		if c.readable() < 2 || c.same(cells) {
			continue
		}
		d := comparedKey{Key: path, Object: console.ObjectName(c.opts.EtcdPrefix, path)}
		for _, cell := range cells {
			d.Revisions = append(d.Revisions, cell.revision)
		}
		c.Differences = append(c.Differences, d)
	}
	slices.SortFunc(c.Differences, func(a, b comparedKey) int { return strings.Compare(a.Key, b.Key) })
}

// cell is a key in one row. Corrupt members disagree on values under one and
// the same mod_revision.
type cell struct {
	revision int64
	value    uint64 // a hash of it
}

func (c *comparison) same(cells []cell) bool {
	var first *cell
	for i, r := range c.Rows {
		switch {
		case !r.readable:
		case first == nil:
			first = &cells[i]
		case cells[i] != *first:
			return false
		}
	}
	return true
}

// shownDifferences bounds the table; -o json has them all.
const shownDifferences = 20

func (c *comparison) print() error {
	if c.env.Format != console.FormatTable {
		return errors.Join(c.env.PrintDocument(c), c.verdict())
	}
	out := console.NewSection(c.env)
	rows := [][]string{{"SOURCE", "MEMBER", "LAST TERM", "LAST INDEX", "COMMIT", "APPLIED", "REVISION", fmt.Sprintf("HASH AT %d", c.CommonRevision), "DAMAGE"}}
	for _, r := range c.Rows {
		hash := "-"
		if r.Hash != nil {
			hash = strconv.FormatUint(uint64(r.Hash.Hash), 10)
		}
		rows = append(rows, []string{r.Path, console.OrDash(r.Member), console.Number(r.LastTerm), console.Number(r.LastIndex), console.OrDash(console.Number(r.Commit)), console.OrDash(console.Number(r.Applied)), console.OrDash(console.Number(uint64(r.Revision))), hash, console.OrDash(r.Damage)})
	}
	out.Table(rows)
	out.Line("")
	switch {
	case c.readable() < 2:
		out.Line("fewer than two can be read: no keys were compared")
	case len(c.Differences) == 0:
		out.Line("all that can be read hold the same keys")
	}
	for _, d := range c.Differences[:min(len(c.Differences), shownDifferences)] {
		var revs []string
		for _, rev := range d.Revisions {
			revs = append(revs, console.OrDash(console.Number(uint64(rev))))
		}
		out.Line("differs: %s (mod_revision %s)", console.Printable(d.Object), strings.Join(revs, ", "))
	}
	if more := len(c.Differences) - shownDifferences; more > 0 {
		out.Line("and %d more (-o json lists them)", more)
	}
	if c.Recommended != "" {
		out.Line("")
		out.Line("build from %s:", console.Printable(c.Recommended))
	}
	for _, reason := range c.Reasons {
		out.Line("  %s", console.Printable(reason))
	}
	return errors.Join(out.Err, c.verdict())
}

// verdict is damage in one of the rows.
func (c *comparison) verdict() error {
	for _, r := range c.Rows {
		if r.Damage != "" {
			return &console.CodedError{Code: console.ExitDamaged, Err: fmt.Errorf("%q: %s", r.Path, r.Damage)}
		}
	}
	return nil
}
