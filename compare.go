package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Comparison is how several survivors of one cluster stand to each other.
type Comparison struct {
	Rows           []*ComparedRow `json:"items"`
	CommonRevision int64          `json:"commonRevision"` // the newest one that all of them have
	Differences    []ComparedKey  `json:"differences"`    // at each row's own newest revision, by key
	Recommended    string         `json:"recommended,omitempty"`
	Reasons        []string       `json:"reasons"`
	Next           []string       `json:"next,omitempty"` // per host, where dirs of other hosts are known by their evidence
}

// ComparedRow is one source of a comparison.
type ComparedRow struct {
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

// ComparedKey is a key that is not the same everywhere: its mod_revision in
// each row, 0 where it is absent.
type ComparedKey struct {
	Key       string  `json:"key"`
	Object    string  `json:"object"` // the key, where it is none of Kubernetes'
	Revisions []int64 `json:"revisions"`
}

// Readable counts the rows whose keys were compared.
func (c *Comparison) Readable() int {
	n := 0
	for _, r := range c.Rows {
		if r.readable {
			n++
		}
	}
	return n
}

// Verdict is the damage in one of the rows, nil for none.
func (c *Comparison) Verdict() error {
	for _, r := range c.Rows {
		if r.Damage != "" {
			return &Error{Class: Damaged, Err: fmt.Errorf("%q: %s", r.Path, r.Damage)}
		}
	}
	return nil
}

// Compare reads the data dirs of one cluster's members, with their logs, and
// says which of them to build from and why. Anything else that Open takes may
// stand among them. Options.WALDirs stand for paths in their order. Damage is
// in the rows; an error says nothing of the sources, or that they are of
// different clusters.
func Compare(ctx context.Context, paths []string, opts Options) (*Comparison, error) {
	if len(opts.PeerDirs) > 0 || opts.CommittedOnly {
		return nil, misusef("compare takes all dirs as arguments, and each of them whole: no --peer-dir, no --committed-only")
	}
	if err := checkWALDirs(opts.WALDirs, len(paths)); err != nil {
		return nil, err
	}
	c := &comparer{opts: opts, cells: map[string][]cell{}, seed: maphash.MakeSeed()}
	defer c.close()
	phase := opts.Observer.start("reading", 0)
	defer phase.Done()
	for _, path := range paths {
		c.Rows = append(c.Rows, &ComparedRow{Path: path})
	}
	for i, row := range c.Rows {
		if err := c.read(ctx, row, i); err != nil {
			return nil, err
		}
	}
	for _, row := range c.Rows {
		if !row.readable || row.hashedAt == c.CommonRevision {
			continue
		}
		if err := c.with(ctx, row, c.hash); err != nil {
			return nil, err
		}
	}
	c.differ()
	if err := c.recommend(); err != nil {
		return nil, err
	}
	found := c.Comparison
	return &found, nil
}

type comparer struct {
	Comparison
	opts    Options
	cells   map[string][]cell // of each key, one per row
	seed    maphash.Seed
	backups []*Backup
}

// cell is a key in one row. Corrupt members disagree on values under one and
// the same mod_revision.
type cell struct {
	revision int64
	value    uint64 // a hash of it
}

func (c *comparer) close() {
	for _, b := range c.backups {
		b.Close()
	}
	for _, r := range c.Rows {
		if r.survivor != nil && r.db != nil {
			r.db.Close()
		}
	}
}

// read fills one row: of a data dir with its log, or of anything else that
// Open takes.
func (c *comparer) read(ctx context.Context, row *ComparedRow, i int) error {
	wal := ""
	if i < len(c.opts.WALDirs) {
		wal = c.opts.WALDirs[i]
	}
	info, err := os.Stat(row.Path)
	if err == nil && (info.IsDir() || datadir.IsCollected(row.Path)) {
		err = c.readDir(ctx, row, wal)
	} else {
		err = c.readOther(ctx, row, wal)
	}
	if err != nil || !row.readable {
		return err
	}
	if c.CommonRevision == 0 || row.Revision < c.CommonRevision {
		c.CommonRevision = row.Revision
	}
	return c.with(ctx, row, func(ctx context.Context, row *ComparedRow, db *snapshot.DB) error {
		for kv, err := range db.At(ctx, 0, nil) {
			if err != nil {
				return err
			}
			cells := c.cells[string(kv.Key)]
			if cells == nil {
				cells = make([]cell, len(c.Rows))
				c.cells[string(kv.Key)] = cells
			}
			cells[i] = cell{kv.ModRevision, maphash.Bytes(c.seed, kv.Value)}
		}
		return c.hash(ctx, row, db)
	})
}

func (c *comparer) readOther(ctx context.Context, row *ComparedRow, wal string) error {
	if wal != "" {
		return misusef("--src-wal-dir %q stands for %q, which is no data dir", wal, row.Path)
	}
	opts := c.opts
	opts.WALDirs = nil
	b, err := Open(ctx, row.Path, opts)
	if err != nil {
		return err
	}
	c.backups = append(c.backups, b)
	row.db, row.readable = b.db, true
	status, err := b.db.Status()
	row.LastTerm, row.LastIndex, row.Applied, row.Revision = status.RaftTerm, status.RaftIndex, status.RaftIndex, status.Revision
	return err
}

func (c *comparer) readDir(ctx context.Context, row *ComparedRow, wal string) error {
	s, err := surveyPeer(ctx, row.Path, wal)
	if err != nil {
		return err
	}
	if s.DatabaseErr != nil && !isDamage(s.DatabaseErr) {
		return s.DatabaseErr
	}
	row.survivor, row.MemberID = s, s.Log.NodeID
	if s.DatabaseErr == nil && s.Collected() == nil {
		r, err := s.Replay(ctx, c.replayOptions())
		switch {
		case isDamage(err):
			s.DatabaseErr = err // it opens, but etcd's own code cannot use it
		case err != nil:
			return err
		default:
			row.replay, row.readable, row.Revision = r, true, r.Revision
			if row.db, err = snapshot.OpenFile(ctx, r.File); err != nil {
				return err
			}
		}
	}
	row.Member, row.Damage = s.Name(), s.Damage()
	row.LastIndex, row.LastTerm = s.Newest()
	row.Commit, row.Applied = s.Log.Commit, s.Info.RaftIndex
	return nil
}

// isDamage reports whether an error says that a dir's content is damaged; any
// other says nothing of it.
func isDamage(err error) bool {
	return errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNotDatabase) || errors.Is(err, snapshot.ErrNotEtcd)
}

func (c *comparer) replayOptions() datadir.ReplayOptions {
	return datadir.ReplayOptions{AcceptLoss: true, Spool: c.opts.spool()}
}

// with hands out a row's database. The copies of dirs do not stand open side by
// side: three of 8 GB would need 24 GB.
func (c *comparer) with(ctx context.Context, row *ComparedRow, do func(context.Context, *ComparedRow, *snapshot.DB) error) error {
	if row.survivor == nil {
		return do(ctx, row, row.db)
	}
	if row.db == nil {
		r, err := row.survivor.Replay(ctx, c.replayOptions())
		if err != nil {
			return err
		}
		if row.db, err = snapshot.OpenFile(ctx, r.File); err != nil {
			return err
		}
	}
	db := row.db
	row.db = nil
	return errors.Join(do(ctx, row, db), db.Close())
}

// hash compares HashKV at the newest revision that every row has, as far as
// that is known.
func (c *comparer) hash(ctx context.Context, row *ComparedRow, db *snapshot.DB) error {
	row.hashedAt, row.Hash = c.CommonRevision, nil
	hash, err := db.HashKV(ctx, c.CommonRevision)
	if errors.Is(err, snapshot.ErrCompacted) {
		return nil
	}
	if err == nil {
		row.Hash = &hash
	}
	return err
}

// differ lists the keys that are not the same in all rows that can be read.
func (c *comparer) differ() {
	c.Differences = []ComparedKey{}
	if c.Readable() < 2 {
		return
	}
	for path, cells := range c.cells {
		if c.same(cells) {
			continue
		}
		d := ComparedKey{Key: path, Object: ObjectName(c.opts.EtcdPrefix, path)}
		for _, cell := range cells {
			d.Revisions = append(d.Revisions, cell.revision)
		}
		c.Differences = append(c.Differences, d)
	}
	slices.SortFunc(c.Differences, func(a, b ComparedKey) int { return strings.Compare(a.Key, b.Key) })
}

func (c *comparer) same(cells []cell) bool {
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

// recommend names the survivor to build from, and what is known of it.
func (c *comparer) recommend() error {
	var survivors []*datadir.Survivor
	replays := map[*datadir.Survivor]*datadir.Replay{}
	for _, r := range c.Rows {
		if r.survivor != nil {
			survivors = append(survivors, r.survivor)
			replays[r.survivor] = r.replay
		}
	}
	found, err := datadir.Recommend(survivors, replays)
	if err != nil {
		return &Error{Class: Refused, Err: err, Hint: hintOneCluster}
	}
	c.Reasons = append([]string{}, found.Reasons...)
	if found.Best == nil {
		return nil
	}
	row := c.Rows[slices.IndexFunc(c.Rows, func(r *ComparedRow) bool { return r.survivor == found.Best })]
	c.Recommended = row.Path
	c.Next = hostSteps(c.Rows, row)
	for _, r := range c.Rows {
		if r.Hash != nil && row.Hash != nil && r.Hash.CompactRevision == row.Hash.CompactRevision && r.Hash.Hash != row.Hash.Hash {
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s holds other data at revision %d: one of the two is corrupt; see the differences", r.Path, c.CommonRevision))
		}
	}
	return nil
}
