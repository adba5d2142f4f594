package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// ReplayOptions say how much of the log counts.
type ReplayOptions struct {
	// Peers are the surveys of other members of the same cluster. They are
	// evidence; only the dir itself is replayed. See Best.
	Peers []*Survivor

	// CommittedOnly stops where a commit is recorded, in the dir or a peer.
	// Writes that were acknowledged may be lost by it.
	CommittedOnly bool

	// AcceptLoss goes on over a log that is damaged, with what stands before
	// the damage, and where a peer has or may have more than the result.
	AcceptLoss bool

	Spool snapshot.Spool // where the copy of the database goes

	keepHistory bool // compactions are not carried out; see Bridge
}

// Replay is a member's state: its database and what its log holds beyond it.
type Replay struct {
	Survivor *Survivor

	// File is the database, without a name, that the entries were put onto.
	// The caller closes it, or hands it to snapshot.OpenFile.
	File *os.File

	Database uint64 // consistent index of the member's database
	Last     uint64 // the newest entry that was applied
	LogLast  uint64 // the newest entry of the log; beyond Last with CommittedOnly
	Spans    []Span // the entries beyond Database, in order

	Revision       int64 // the newest
	ProvenRevision int64 // the newest of which a commit is recorded, or a majority holds it
	Unproven       []Change
	More           int // changes beyond those in Unproven

	Voters   []uint64 // members after the last entry
	Learners []uint64
	Hash     snapshot.Hash // by etcd, at Revision

	// Damage says what of the log was given up under AcceptLoss.
	Damage string

	// AtHand is what the dirs at hand, Peers among them, prove.
	AtHand Evidence

	recordedRevision int64 // the newest of which a commit is recorded
}

// Standing says how well it is known that an entry was committed, and with it
// perhaps acknowledged.
type Standing string

// From the best to the least. What is InThisLogOnly may be a write that was
// never acknowledged, and may be one that was: the dirs of a majority of the
// voters would tell.
const (
	CommitRecorded Standing = "commit recorded"
	HeldByMajority Standing = "held by a majority of the voters"
	InThisLogOnly  Standing = "not proven committed"
)

// Span is a run of entries that stand alike.
type Span struct {
	First    uint64   `json:"first"`
	Last     uint64   `json:"last"`
	Standing Standing `json:"standing"`
}

// String names the run: "entry 7", "entries 7 to 9".
func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprintf("entry %d", s.First)
	}
	return fmt.Sprintf("entries %d to %d", s.First, s.Last)
}

// Change is a change of a key.
type Change struct {
	Revision int64  `json:"revision"`
	Key      string `json:"key"`
	Deleted  bool   `json:"deleted,omitempty"`
}

// ErrNoLog says that a dir has no log: etcd ran with --wal-dir, or it is lost,
// and what was acknowledged last with it. It is snapshot.ErrDamaged.
var ErrNoLog error = noLogError{}

type noLogError struct{}

func (noLogError) Error() string { return "there is no write-ahead log" }

func (noLogError) Is(target error) bool { return target == snapshot.ErrDamaged }

// ErrNoDatabase says that a dir has no database. It is snapshot.ErrDamaged where
// the dir has a log.
var ErrNoDatabase error = noDatabaseError{}

type noDatabaseError struct{}

func (noDatabaseError) Error() string { return "there is no database" }

func (noDatabaseError) Is(target error) bool { return target == snapshot.ErrDamaged }

// maxChanges bounds the list of changes that are not proven.
const maxChanges = 1000

// Replay copies the database and puts the log's entries onto the copy, with
// etcd's own code in a child process. Nothing in d is changed.
//
// Errors: a log that is damaged where it is needed is a DamagedError, which
// AcceptLoss overrides; a database that is damaged snapshot.ErrDamaged; one
// that is held by a process snapshot.ErrInUse; one of a newer etcd
// etcdproc.ErrNewer; a result that lacks what a peer has, or may have, a
// *LossError, which AcceptLoss overrides, too.
func (s *Survivor) Replay(ctx context.Context, opts ReplayOptions) (*Replay, error) {
	r, err := s.replay(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("replaying the log of %q: %w", s.Dir.Path, err)
	}
	if loss := r.Loss(append([]*Survivor{s}, opts.Peers...)); loss != nil && !opts.AcceptLoss {
		return nil, errors.Join(loss, r.File.Close())
	}
	return r, nil
}

// Replay surveys the dir and replays its log.
func (d *Dir) Replay(ctx context.Context, opts ReplayOptions) (*Replay, error) {
	s, err := d.Survey(ctx)
	if err != nil {
		return nil, err
	}
	return s.Replay(ctx, opts)
}

func (s *Survivor) replay(ctx context.Context, opts ReplayOptions) (*Replay, error) {
	if s.Newborn {
		return nil, ErrNotStarted
	}
	if s.DatabaseErr != nil {
		return nil, s.DatabaseErr
	}
	if s.Log.Segments == 0 && !opts.AcceptLoss {
		return nil, fmt.Errorf("%w in %q", ErrNoLog, s.Dir.WAL())
	}
	r := &Replay{Survivor: s, Database: s.Info.RaftIndex, Last: s.Info.RaftIndex}
	stretch, hole := s.Log.beyond(r.Database)
	if stretch != nil {
		r.Last = max(r.Last, stretch.Last)
	}
	if hole != "" {
		if !opts.AcceptLoss {
			return nil, &DamagedError{Dir: s.Dir.Path, Index: r.Last, What: hole}
		}
		r.Damage = hole
	}
	r.LogLast = r.Last
	recorded := s.recorded(r.Last, opts.Peers)
	if opts.CommittedOnly {
		r.Last = min(r.Last, max(recorded, r.Database))
	}
	req := s.request(r, stretch)
	req.KeepHistory = opts.keepHistory
	all := append([]*Survivor{s}, opts.Peers...)
	held := r.Last // a database of a cluster's first moments has no members yet: the tail tells
	if voters := s.Voters(); len(voters) > 0 {
		held = heldByMajority(all, s, recorded, r.Last, voters)
	}
	req.Marks = [2]uint64{recorded, held}

	file, err := s.copyDatabase(ctx, opts.Spool)
	if err != nil {
		return nil, err
	}
	r.File = file
	if err := r.run(ctx, req); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	zombies, _ := s.Differences(s.Members)
	r.Voters = without(r.Voters, zombies)
	// Where the tail changes the voters, a majority of both counts.
	if after := heldByMajority(all, s, recorded, r.Last, r.Voters); after < held {
		held, r.ProvenRevision = recorded, r.recordedRevision
	}
	if err := r.changes(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r.spans(recorded, held)
	r.AtHand = r.Evidence(all)
	return r, nil
}

// recorded is the newest entry up to last that a hard state or a database
// says was committed. A peer's word counts where it has the same entry.
func (s *Survivor) recorded(last uint64, peers []*Survivor) uint64 {
	proven := min(last, s.Proven())
	for _, p := range peers {
		index := min(last, p.Proven())
		if stretch := s.Log.at(index); stretch != nil && index > proven {
			if term, _ := stretch.Term(index); p.has(index, term, s) {
				proven = index
			}
		}
	}
	return proven
}

// heldByMajority is the newest entry up to last that a majority of the voters
// have, as far as their dirs were given.
func heldByMajority(all []*Survivor, s *Survivor, from, last uint64, voters []uint64) uint64 {
	for index := last; index > from; index-- {
		stretch := s.Log.at(index)
		if stretch == nil {
			continue
		}
		term, _ := stretch.Term(index)
		holders := map[uint64]bool{}
		for _, o := range all {
			if slices.Contains(voters, o.Log.NodeID) && o.has(index, term, s) {
				holders[o.Log.NodeID] = true
			}
		}
		if len(voters) > 0 && len(holders) > len(voters)/2 {
			return index
		}
	}
	return from
}

func (s *Survivor) request(r *Replay, stretch *Stretch) replayRequest {
	req := replayRequest{
		Size: s.Info.FileSize, NodeID: s.Log.NodeID, ClusterID: s.Log.ClusterID,
		From: r.Database + 1, To: r.Last,
	}
	if stretch == nil {
		return req
	}
	for _, run := range stretch.terms {
		req.Terms = append(req.Terms, [2]uint64{run.first, run.term})
	}
	segments, err := segmentsOf(s.Dir.WAL())
	if err != nil {
		return req // the child finds the entries missing
	}
	for i, seg := range segments {
		if i+1 < len(segments) && segments[i+1].first <= req.From {
			continue // all of it stands before From
		}
		req.Segments = append(req.Segments, seg.path)
	}
	return req
}

// copyDatabase makes a copy without a name. The database is checked and locked
// until it is copied: etcd's code trusts its file.
func (s *Survivor) copyDatabase(ctx context.Context, spool snapshot.Spool) (*os.File, error) {
	source, err := os.Open(s.Database)
	if err != nil {
		return nil, err
	}
	db, err := snapshot.OpenFile(ctx, source)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	problems, err := db.Check(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		if p.Code == snapshot.BadFreelist {
			return nil, fmt.Errorf("%s: %w", p.Detail, snapshot.ErrDamaged)
		}
	}
	file, _, err := spool.Take(ctx, &fileReader{file: source, size: s.Info.FileSize})
	return file, err
}

// run has the child do the work and reads what came of it.
func (r *Replay) run(ctx context.Context, req replayRequest) error {
	var answer replayAnswer
	if err := replayPatience(req).Do(ctx, replayTask, req, &answer, r.File); err != nil {
		return err
	}
	r.Revision, r.recordedRevision, r.ProvenRevision = answer.Revision, answer.Marks[0], answer.Marks[1]
	r.Voters, r.Learners = answer.Voters, answer.Learners
	r.Hash = snapshot.Hash{Hash: answer.Hash, HashRevision: answer.Revision, CompactRevision: answer.CompactRev}
	return nil
}

// replayPatience is when a replay counts as hung: a few minutes without doing
// anything, or some ten times the processor time that it needs.
func replayPatience(req replayRequest) etcdproc.Patience {
	limit := 5*time.Minute + time.Duration(req.Size/5e6)*time.Second
	if req.To > req.From {
		limit += time.Duration(req.To-req.From) * 10 * time.Millisecond
	}
	return etcdproc.Patience{Idle: 5 * time.Minute, CPU: limit}
}

// changes lists what stands above the proven revision.
func (r *Replay) changes(ctx context.Context) error {
	if r.ProvenRevision == r.Revision {
		return nil
	}
	file, err := os.Open(fdPath(r.File))
	if err != nil {
		return err
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	defer db.Close()
	for record, err := range db.Records(ctx, r.ProvenRevision) {
		switch {
		case err != nil:
			return err
		case len(r.Unproven) >= maxChanges:
			r.More++
		default:
			r.Unproven = append(r.Unproven, Change{Revision: record.Main, Key: string(record.Key), Deleted: record.Deleted})
		}
	}
	slices.Reverse(r.Unproven)
	return nil
}

func (r *Replay) spans(recorded, proven uint64) {
	first := r.Database + 1
	for _, part := range []struct {
		last     uint64
		standing Standing
	}{{recorded, CommitRecorded}, {proven, HeldByMajority}, {r.Last, InThisLogOnly}} {
		if last := min(part.last, r.Last); last >= first {
			r.Spans = append(r.Spans, Span{first, last, part.standing})
			first = last + 1
		}
	}
}

// Entries counts the entries that were put onto the database.
func (r *Replay) Entries() uint64 { return r.Last - r.Database }
