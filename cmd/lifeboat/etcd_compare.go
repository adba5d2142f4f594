package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdCompareCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "compare",
		Usage: "which survivor to build from, and what differs between them",
		UsageText: "lifeboat etcd compare /var/lib/etcd /mnt/master-1/etcd\n" +
			"lifeboat etcd compare /var/lib/etcd etcd-backup.snapshot -o json",
		ArgsUsage: "SRC SRC...",
		Flags:     append(sourceFlags(), outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return usagef("compare takes two data dirs or more; a snapshot may stand among them")
			}
			opts, err := sourceOptionsOf(c)
			if err != nil {
				return err
			}
			if len(opts.PeerDirs) > 0 || opts.CommittedOnly {
				return usagef("compare takes all dirs as arguments, and each of them whole: no --peer-dir, no --committed-only")
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
	env            *environment
	opts           sourceOptions
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
	db       *snapshot.DB      // nil where it cannot be read
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
	phase := c.env.progress.Start("reading", 0)
	defer phase.Done()
	if err := c.opts.checkWALDirs(len(paths)); err != nil {
		return err
	}
	for i, path := range paths {
		row := &comparedRow{Path: path}
		c.Rows = append(c.Rows, row)
		if err := c.open(ctx, row, i); err != nil {
			return err
		}
	}
	if err := c.hashes(ctx); err != nil {
		return err
	}
	if err := c.differences(ctx); err != nil {
		return err
	}
	return c.recommend()
}

// open reads one row: a data dir with its log, or anything else that openSource
// takes. Damage is in the row.
func (c *comparison) open(ctx context.Context, row *comparedRow, i int) error {
	info, err := os.Stat(row.Path)
	if err == nil && info.IsDir() {
		return c.openDir(ctx, row, i)
	}
	if wal := c.opts.walDir(i); wal != "" {
		return usagef("--src-wal-dir %q stands for %q, which is no data dir", wal, row.Path)
	}
	opts := c.opts
	opts.WALDirs = nil
	src, err := openSource(ctx, c.env, opts, row.Path)
	if err != nil {
		return err
	}
	row.db = src.db
	status, err := src.db.Status()
	row.LastTerm, row.LastIndex, row.Applied, row.Revision = status.RaftTerm, status.RaftIndex, status.RaftIndex, status.Revision
	return err
}

func (c *comparison) openDir(ctx context.Context, row *comparedRow, i int) error {
	s, err := c.opts.survey(ctx, row.Path, i)
	if err != nil {
		return err
	}
	row.survivor, row.MemberID, row.Member = s, s.Log.NodeID, s.Name()
	row.LastIndex, row.LastTerm = s.Newest()
	row.Commit, row.Applied = s.Log.Commit, s.Info.RaftIndex
	if s.DatabaseErr != nil {
		row.Damage = s.DatabaseErr.Error()
		return nil //nolint:nilerr // it is in the row, and print says it
	}
	r, err := s.Replay(ctx, datadir.ReplayOptions{AcceptLoss: true, Spool: snapshot.Spool{Where: snapshot.Where(c.opts.Spool)}})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		row.Damage = err.Error()
		return nil
	}
	row.Revision = r.Revision
	if r.Damage != "" {
		row.Damage = "log damaged " + r.Damage
	}
	row.db, err = snapshot.OpenFile(ctx, r.File)
	return err
}

// hashes compares HashKV at the newest revision that every row has.
func (c *comparison) hashes(ctx context.Context) error {
	for _, r := range c.Rows {
		if r.db != nil && (c.CommonRevision == 0 || r.Revision < c.CommonRevision) {
			c.CommonRevision = r.Revision
		}
	}
	for _, r := range c.Rows {
		if r.db == nil {
			continue
		}
		hash, err := r.db.HashKV(ctx, c.CommonRevision)
		if errors.Is(err, snapshot.ErrCompacted) {
			continue
		}
		if err != nil {
			return err
		}
		r.Hash = &hash
	}
	return nil
}

func (c *comparison) differences(ctx context.Context) error {
	all := map[string][]cell{}
	seed, readable := maphash.MakeSeed(), 0
	for i, r := range c.Rows {
		if r.db == nil {
			continue
		}
		readable++
		for kv, err := range r.db.At(ctx, 0, nil) {
			if err != nil {
				return err
			}
			cells := all[string(kv.Key)]
			if cells == nil {
				cells = make([]cell, len(c.Rows))
				all[string(kv.Key)] = cells
			}
			cells[i] = cell{kv.ModRevision, maphash.Bytes(seed, kv.Value)}
		}
	}
	c.Differences = []comparedKey{}
	for path, cells := range all {
		if readable < 2 || c.same(cells) {
			continue
		}
		d := comparedKey{Key: path, Object: objectName(c.opts.EtcdPrefix, path)}
		for _, cell := range cells {
			d.Revisions = append(d.Revisions, cell.revision)
		}
		c.Differences = append(c.Differences, d)
	}
	slices.SortFunc(c.Differences, func(a, b comparedKey) int { return strings.Compare(a.Key, b.Key) })
	return nil
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
		case r.db == nil:
		case first == nil:
			first = &cells[i]
		case cells[i] != *first:
			return false
		}
	}
	return true
}

// recommend names the survivor to build from.
func (c *comparison) recommend() error {
	var survivors []*datadir.Survivor
	for _, r := range c.Rows {
		if r.survivor != nil {
			survivors = append(survivors, r.survivor)
		}
	}
	c.Reasons = []string{}
	if len(survivors) == 0 {
		return nil
	}
	best, err := datadir.Best(survivors)
	if err != nil {
		return &codedError{Code: exitRefused, Err: err, Hint: "give the dirs of one cluster's members"}
	}
	row := c.Rows[slices.IndexFunc(c.Rows, func(r *comparedRow) bool { return r.survivor == best })]
	if row.db == nil {
		c.Reasons = append(c.Reasons, "no dir can be read: take a snapshot")
		return nil
	}
	c.Recommended = row.Path
	index, term := best.Newest()
	c.Reasons = append(c.Reasons, fmt.Sprintf("its last entry has the greatest term and, in it, the greatest index (term %d, index %d)", term, index))
	voters, held := best.Voters(), map[uint64]bool{}
	for _, s := range survivors {
		if slices.Contains(voters, s.Log.NodeID) {
			held[s.Log.NodeID] = true
		}
	}
	if len(held) > len(voters)/2 {
		c.Reasons = append(c.Reasons, fmt.Sprintf("%d of %d voters are at hand, a majority: it has every write that was acknowledged", len(held), len(voters)))
	} else {
		c.Reasons = append(c.Reasons, fmt.Sprintf("%d of %d voters are at hand, no majority: a write that was acknowledged may stand in another dir alone", len(held), len(voters)))
	}
	for _, r := range c.Rows {
		if r.Hash != nil && row.Hash != nil && r.Hash.CompactRevision == row.Hash.CompactRevision && r.Hash.Hash != row.Hash.Hash {
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s holds other data at revision %d: one of the two is corrupt; see the differences", r.Path, c.CommonRevision))
		}
	}
	return nil
}

// shownDifferences bounds the table; -o json has them all.
const shownDifferences = 20

func (c *comparison) print() error {
	if c.env.format != formatTable {
		return errors.Join(c.env.printDocument(c), c.verdict())
	}
	out := newSection(c.env)
	rows := [][]string{{"SOURCE", "MEMBER", "LAST TERM", "LAST INDEX", "COMMIT", "APPLIED", "REVISION", fmt.Sprintf("HASH AT %d", c.CommonRevision), "DAMAGE"}}
	for _, r := range c.Rows {
		hash := "-"
		if r.Hash != nil {
			hash = strconv.FormatUint(uint64(r.Hash.Hash), 10)
		}
		rows = append(rows, []string{r.Path, orDash(r.Member), number(r.LastTerm), number(r.LastIndex), orDash(number(r.Commit)), number(r.Applied), strconv.FormatInt(r.Revision, 10), hash, orDash(r.Damage)})
	}
	out.table(rows)
	out.line("")
	if len(c.Differences) == 0 {
		out.line("all hold the same keys")
	}
	for _, d := range c.Differences[:min(len(c.Differences), shownDifferences)] {
		var revs []string
		for _, rev := range d.Revisions {
			revs = append(revs, orDash(number(uint64(rev))))
		}
		out.line("differs: %s (mod_revision %s)", printable(d.Object), strings.Join(revs, ", "))
	}
	if more := len(c.Differences) - shownDifferences; more > 0 {
		out.line("and %d more (-o json lists them)", more)
	}
	if c.Recommended != "" {
		out.line("")
		out.line("build from %s:", printable(c.Recommended))
	}
	for _, reason := range c.Reasons {
		out.line("  %s", printable(reason))
	}
	return errors.Join(out.err, c.verdict())
}

// verdict is damage in one of the rows.
func (c *comparison) verdict() error {
	for _, r := range c.Rows {
		if r.Damage != "" {
			return &codedError{Code: exitDamaged, Err: fmt.Errorf("%q: %s", r.Path, r.Damage)}
		}
	}
	return nil
}
