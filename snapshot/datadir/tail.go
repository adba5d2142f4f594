package datadir

import (
	"context"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Tail is what the log holds beyond the database.
type Tail struct {
	Entries   uint64 // entries beyond the database's consistent index
	LastIndex uint64 // of the newest entry, 0 for a log without entries
	LastTerm  uint64
	Commit    uint64 // newest commit index on record; acknowledged writes may stand beyond it

	// Damage says where the log stops being readable other than by its normal
	// end, "" where it does not.
	Damage string
}

// Tail reads the log and counts its entries beyond index, the database's
// consistent index. The log is streamed and nothing is changed. A torn last
// record is how the log of a killed member ends, and no damage.
func (d *Dir) Tail(ctx context.Context, index uint64) (Tail, error) {
	l, err := d.Log(ctx)
	if err != nil {
		return Tail{}, err
	}
	return l.Tail(index), nil
}

// Tail says what can be put onto a database with this consistent index.
func (l *Log) Tail(index uint64) Tail {
	t := Tail{Commit: l.Commit}
	s, hole := l.beyond(index)
	if s != nil {
		t.LastIndex = s.Last
		t.LastTerm, _ = s.Term(s.Last)
		if s.Last > index {
			t.Entries = s.Last - index
		}
	}
	if hole != "" {
		t.Damage = hole
	}
	return t
}

// beyond finds the stretch that continues a database with this consistent
// index, or that ends before it; nil when there is none. hole says what makes
// it end before the log's newest entry, "" when nothing does.
func (l *Log) beyond(index uint64) (s *Stretch, hole string) {
	for i := range l.Stretches {
		t := &l.Stretches[i]
		switch {
		case t.First > index+1:
			if s != nil && s.Last > index {
				return s, fmt.Sprintf("after entry %d: %s", s.Last, s.End)
			}
			return s, fmt.Sprintf("after entry %d, the database's own: entries %d to %d are missing", index, index+1, t.First-1)
		case s == nil || t.Last >= s.Last:
			s = t
		}
	}
	last := uint64(0)
	if s != nil {
		last = s.Last
	}
	// A snapshot that the leader sent takes the place of the entries up to it
	// (etcd server/etcdserver/raft.go start: SaveSnap, then Save).
	switch {
	case l.End != "":
		return s, fmt.Sprintf("after entry %d: %s", last, l.End)
	case l.Behind > 0:
		return s, fmt.Sprintf("after entry %d: %d bytes are no record, and behind them stand records of entries up to %d", last, l.Leftover, l.Behind)
	case l.Segments > 0 && max(last, l.Snapshot) < index:
		return s, fmt.Sprintf("after entry %d: it ends before the database does, at entry %d", last, index)
	case max(last, index) < l.Snapshot:
		return s, fmt.Sprintf("after entry %d: the database of entry %d, which the leader had sent, is missing", max(last, index), l.Snapshot)
	case max(last, index) < l.Commit:
		return s, fmt.Sprintf("after entry %d: it says that entry %d was committed, which is missing", max(last, index), l.Commit)
	}
	return s, ""
}

// DamagedError says where a log that is needed cannot be read. It is
// snapshot.ErrDamaged.
type DamagedError struct {
	Dir   string
	Index uint64 // newest entry that can be used
	What  string
}

func (e *DamagedError) Error() string {
	return "the write-ahead log is damaged " + e.What
}

// Is makes every DamagedError snapshot.ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == snapshot.ErrDamaged }
