package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Log is what a member's write-ahead log says, without its entries' content.
type Log struct {
	NodeID    uint64 // 0 where no metadata could be read
	ClusterID uint64

	Term   uint64 // of the newest hard state
	Commit uint64 // newest commit index on record; acknowledged writes may stand beyond it

	// Snapshot is the newest snapshot record at or below Commit: what the
	// member's database held at least once.
	Snapshot uint64

	// Stretches are the entries that can be read, in the order of their
	// indexes. More than one means that entries between them are missing; that
	// is as it should be below a snapshot that the leader sent.
	Stretches []Stretch

	// End says what stopped the reading for good, "" for the log's normal end: a
	// torn last record is one, too.
	End string

	Segments int
	Leftover int64 // bytes that are not zero behind the end of the log: a torn write, or a hole

	// Torn says that the leftover is the beginning of one record that was never
	// finished, and nothing else: so ends the log of a member that was killed.
	Torn bool

	// Behind is the newest entry of which a record can be told behind the place
	// where the reading ended; zeros for none.
	Behind, BehindTerm uint64

	endsBehind bool // nothing but zeros follows the newest of those records

	added map[uint64]uint64   // members that entries add, each with the newest of these
	named map[uint64]struct{} // all members that entries and snapshot records name

	snapshots []entryID // the snapshot records, but the one that begins every log
}

// entryID names an entry: no two of a cluster share index and term.
type entryID struct{ index, term uint64 }

// EndKnown reports whether nothing that the member had synced, and so perhaps
// acknowledged, stood behind the newest entry that was found: Last, or Behind.
// A hole before that is no matter here.
func (l *Log) EndKnown() bool {
	last, _ := l.Last()
	whole := l.End == "" && (l.Leftover == 0 || l.Torn)
	return l.Segments > 0 && (whole || l.endsBehind) && max(last, l.Behind, l.Snapshot) >= l.Commit
}

// Stretch is a run of entries without a hole.
type Stretch struct {
	First, Last uint64
	// End says why the next stretch does not continue this one; "" for the last.
	End string

	terms []termRun
}

// termRun says from which index on the entries have a term.
type termRun struct{ first, term uint64 }

// Term is the term of an entry; false when it is not in the stretch. Index and
// term together name an entry: no two entries of a cluster share both.
func (s *Stretch) Term(index uint64) (uint64, bool) {
	if index < s.First || index > s.Last {
		return 0, false
	}
	for i := len(s.terms) - 1; i >= 0; i-- {
		if s.terms[i].first <= index {
			return s.terms[i].term, true
		}
	}
	return 0, false
}

// Last is the newest entry that can be read; zeros for a log without entries.
func (l *Log) Last() (index, term uint64) {
	if len(l.Stretches) == 0 {
		return 0, 0
	}
	s := &l.Stretches[len(l.Stretches)-1]
	term, _ = s.Term(s.Last)
	return s.Last, term
}

// at finds the stretch that holds an entry; nil when none does.
func (l *Log) at(index uint64) *Stretch {
	for i := range l.Stretches {
		if s := &l.Stretches[i]; s.First <= index && index <= s.Last {
			return s
		}
	}
	return nil
}

// Log reads the whole log in one pass. Memory does not grow with its length.
// An error means that it could not be read at all; damage is in the result.
func (d *Dir) Log(ctx context.Context) (*Log, error) {
	segments, err := segmentsOf(d.WAL())
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	b := logBuilder{ctx: ctx, log: &Log{Segments: len(segments), added: map[uint64]uint64{}, named: map[uint64]struct{}{}}}
	for i, s := range segments {
		b.seq = s.seq
		if i > 0 && segments[i-1].seq+1 != s.seq {
			b.stop(fmt.Sprintf("segment %d of the log is missing", segments[i-1].seq+1))
		}
		if err := b.segment(s, i == len(segments)-1); err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
	}
	b.finish()
	return b.log, nil
}

// logBuilder reads a log record by record.
type logBuilder struct {
	ctx context.Context
	log *Log

	seq      uint64 // of the segment
	metadata []byte
	chain    uint32 // checksum at the end of the segment before
	chained  bool
	stopped  string // why the next entry begins a new stretch
	records  int
}

// stop ends the current stretch: what follows is not known to be connected.
func (b *logBuilder) stop(why string) {
	b.stopped, b.chained = why, false
}

// segment reads one file. Damage ends it; the next one is read all the same.
func (b *logBuilder) segment(s segment, last bool) error {
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder, err := newDecoder(file)
	if err != nil {
		return err
	}
	for {
		if b.records++; b.records%1024 == 0 && b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		var rec walpb.Record
		err := decoder.next(&rec)
		if err == nil {
			err = b.take(decoder, &rec)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			b.chain, b.chained = decoder.LastCRC(), true
		case errors.Is(err, io.ErrUnexpectedEOF) && last:
		default:
			b.stop(fmt.Sprintf("segment %d of the log, offset %d: %v", s.seq, decoder.LastOffset(), err))
		}
		if last {
			return b.leftover(file, decoder.LastOffset())
		}
		return nil
	}
}

// take adds one record.
func (b *logBuilder) take(decoder *decoder, rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.EntryType:
		var e raftpb.Entry
		if err := proto.Unmarshal(rec.Data, &e); err != nil {
			return fmt.Errorf("decoding an entry: %w", err)
		}
		if e.GetType() == raftpb.EntryConfChange {
			if err := b.confChange(&e); err != nil {
				return err
			}
		}
		return b.entry(e.GetIndex(), e.GetTerm())
	case wal.StateType:
		var s raftpb.HardState
		if err := proto.Unmarshal(rec.Data, &s); err != nil {
			return fmt.Errorf("decoding a hard state: %w", err)
		}
		b.log.Term, b.log.Commit = max(b.log.Term, s.GetTerm()), max(b.log.Commit, s.GetCommit())
	case wal.MetadataType:
		return b.takeMetadata(rec.Data)
	case wal.SnapshotType:
		var s walpb.Snapshot
		if err := proto.Unmarshal(rec.Data, &s); err != nil {
			return fmt.Errorf("decoding a snapshot record: %w", err)
		}
		b.snapshot(&s)
	case wal.CrcType:
		// A segment begins with the running checksum of the one before. Another
		// one means that records at the end of that are missing; these are whole.
		if b.chained && rec.GetCrc() != b.chain {
			b.stop(fmt.Sprintf("segment %d of the log does not continue the one before: %v", b.seq, wal.ErrCRCMismatch))
		}
		decoder.UpdateCRC(rec.GetCrc())
	default:
		return fmt.Errorf("record of unknown type %d", rec.GetType())
	}
	return nil
}

// maxAdded bounds what a hostile log can have us remember.
const maxAdded = 10_000

func (b *logBuilder) confChange(e *raftpb.Entry) error {
	var c raftpb.ConfChange
	if err := proto.Unmarshal(e.GetData(), &c); err != nil {
		return fmt.Errorf("decoding a change of the members: %w", err)
	}
	b.name(c.GetNodeId())
	adds := c.GetType() == raftpb.ConfChangeAddNode || c.GetType() == raftpb.ConfChangeAddLearnerNode
	if adds && len(b.log.added) < maxAdded {
		b.log.added[c.GetNodeId()] = e.GetIndex()
	}
	return nil
}

func (b *logBuilder) name(ids ...uint64) {
	for _, id := range ids {
		if len(b.log.named) < maxAdded {
			b.log.named[id] = struct{}{}
		}
	}
}

func (b *logBuilder) snapshot(s *walpb.Snapshot) {
	if s.GetIndex() == 0 || len(b.log.snapshots) >= maxAdded {
		return
	}
	b.log.snapshots = append(b.log.snapshots, entryID{s.GetIndex(), s.GetTerm()})
	b.name(s.GetConfState().GetVoters()...)
	b.name(s.GetConfState().GetLearners()...)
}

func (b *logBuilder) takeMetadata(data []byte) error {
	if b.metadata != nil {
		if !bytes.Equal(b.metadata, data) {
			return wal.ErrMetadataConflict
		}
		return nil
	}
	var m etcdserverpb.Metadata
	if err := proto.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("decoding the metadata: %w", err)
	}
	b.metadata = bytes.Clone(data)
	b.log.NodeID, b.log.ClusterID = m.GetNodeID(), m.GetClusterID()
	b.name(m.GetNodeID())
	return nil
}

// entry adds an entry. One with an index that was there before replaces it and
// all that followed, as in raft's log. One that leaves indexes out begins a new
// stretch, and so does the first one behind damage: what could not be read may
// have replaced entries before it.
func (b *logBuilder) entry(index, term uint64) error {
	if index == 0 {
		return errors.New("an entry with index 0")
	}
	s := b.replace(index)
	switch {
	case s != nil && b.stopped == "" && index == s.Last+1:
		s.Last = index
		if run := s.terms[len(s.terms)-1]; run.term != term {
			s.terms = append(s.terms, termRun{index, term})
		}
		return nil
	case s != nil && b.stopped != "":
		s.End = b.stopped
	case s != nil:
		s.End = fmt.Sprintf("entries %d to %d are missing", s.Last+1, index-1)
	}
	b.stopped = ""
	b.log.Stretches = append(b.log.Stretches, Stretch{First: index, Last: index, terms: []termRun{{index, term}}})
	return nil
}

// replace drops the entries from index on and returns the last stretch, if any.
func (b *logBuilder) replace(index uint64) *Stretch {
	l := b.log
	for n := len(l.Stretches); n > 0 && l.Stretches[n-1].First >= index; n-- {
		l.Stretches = l.Stretches[:n-1]
	}
	if len(l.Stretches) == 0 {
		return nil
	}
	s := &l.Stretches[len(l.Stretches)-1]
	s.End = ""
	for s.terms[len(s.terms)-1].first >= index { // the first run begins below index
		s.terms = s.terms[:len(s.terms)-1]
	}
	s.Last = min(s.Last, index-1)
	return s
}

func (b *logBuilder) finish() {
	b.log.End = b.stopped
	for _, s := range b.log.snapshots {
		if s.index <= b.log.Commit {
			b.log.Snapshot = max(b.log.Snapshot, s.index)
		}
	}
}
