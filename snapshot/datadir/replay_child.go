package datadir

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

const replayTask = "replay"

// replayRequest is what the child is asked to do to the database, its first
// file.
type replayRequest struct {
	Size              int64 // of the database
	NodeID, ClusterID uint64

	Segments []string // files of the log from the one that has entry From on
	From, To uint64   // entries to apply, none when To < From
	Terms    [][2]uint64
	Marks    [2]uint64 // entries after which the revision is asked for

	KeepHistory bool // compactions are passed over
}

type replayAnswer struct {
	Revision   int64
	Marks      [2]int64 // revisions after the marked entries
	Hash       uint32   // HashKV at Revision, by etcd
	CompactRev int64
	Voters     []uint64
	Learners   []uint64
}

// replayChild applies the entries. They were looked at before: Terms says
// which of those that share an index is the log's.
func replayChild(c *etcdproc.Call) (any, error) {
	var req replayRequest
	if err := c.Request(&req); err != nil {
		return nil, err
	}
	c.Enter("opening the copy of the database")
	m, err := openMachine(c.Log, etcdproc.FilePath(0), req.Size, req.NodeID, req.ClusterID)
	if err != nil {
		return nil, err
	}
	c.Enter("replaying the log")
	m.keepsHistory = req.KeepHistory
	r := replayer{machine: m, req: req, next: req.From, stretch: stretchOf(req)}
	r.marks = [2]int64{m.kv.Rev(), m.kv.Rev()}
	if err := r.run(); err != nil {
		return nil, err
	}
	c.Enter("hashing")
	hash, err := m.hash()
	if err != nil {
		return nil, err
	}
	answer := replayAnswer{
		Revision: m.kv.Rev(), Marks: r.marks, Hash: hash.Hash, CompactRev: hash.CompactRevision,
	}
	s := m.confState()
	answer.Voters, answer.Learners = s.Voters, s.Learners
	c.Enter("closing the copy of the database")
	return answer, m.close()
}

func (m *machine) hash() (mvcc.KeyValueHash, error) {
	m.kv.Commit()
	hash, _, err := m.kv.HashStorage().HashByRev(0)
	return hash, err
}

func stretchOf(req replayRequest) Stretch {
	s := Stretch{First: req.From, Last: req.To}
	for _, run := range req.Terms {
		s.terms = append(s.terms, termRun{run[0], run[1]})
	}
	return s
}

// replayer streams the log once more and applies what belongs to it.
type replayer struct {
	*machine
	req     replayRequest
	stretch Stretch
	next    uint64 // index of the entry to apply next
	marks   [2]int64
}

func (r *replayer) run() error {
	for _, path := range r.req.Segments {
		if r.next > r.req.To {
			return nil
		}
		if err := r.segment(path); err != nil {
			return err
		}
	}
	if r.next <= r.req.To {
		return fmt.Errorf("entry %d is not in the log any more: it changed while it was read", r.next)
	}
	return nil
}

func (r *replayer) segment(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder, err := newDecoder(file)
	if err != nil {
		return err
	}
	for r.next <= r.req.To {
		var rec walpb.Record
		err := decoder.next(&rec)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return nil // known to the parent, which chose To; run finds what is missing
		case rec.GetType() == wal.CrcType:
			decoder.UpdateCRC(rec.GetCrc())
		case rec.GetType() == wal.EntryType:
			if err := r.entry(rec.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *replayer) entry(data []byte) error {
	var e raftpb.Entry
	if err := proto.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("decoding entry %d: %w", r.next, err)
	}
	// Index and term together name an entry. One with another term was
	// replaced by a newer leader.
	if term, ok := r.stretch.Term(e.GetIndex()); !ok || term != e.GetTerm() || e.GetIndex() != r.next {
		return nil
	}
	if err := r.apply(&e); err != nil {
		return err
	}
	for i, mark := range r.req.Marks {
		if r.next <= mark {
			r.marks[i] = r.kv.Rev()
		}
	}
	r.next++
	return nil
}
