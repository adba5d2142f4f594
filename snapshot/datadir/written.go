package datadir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const (
	// window is how many of the entries that a database applied last are held
	// against what it has.
	window = 512

	// newestRecords is how many of its records are looked through for that.
	newestRecords = 4096

	// enoughPuts is how many puts, none of them in the database, tell that it is
	// another one: any of them may have been refused when it was applied.
	enoughPuts = 8
)

// putSum stands for a key and its value.
type putSum [sha256.Size]byte

func putSumOf(key, value []byte) putSum {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(key), key, value))
}

// revision is that of a record.
type revision struct{ main, sub int64 }

// newestOf are a database's newest records.
func newestOf(ctx context.Context, db *snapshot.DB) (map[revision]putSum, error) {
	newest := map[revision]putSum{}
	for r, err := range db.Records(ctx, 0) {
		if err != nil {
			return nil, err
		}
		newest[revision{r.Main, r.Sub}] = putSumOf(r.Key, r.Value)
		if len(newest) == newestRecords {
			break
		}
	}
	return newest, nil
}

// prints are the sums of the database's newest records.
func (s *Survivor) prints() map[putSum]bool {
	prints := make(map[putSum]bool, len(s.newest))
	for _, print := range s.newest {
		prints[print] = true
	}
	return prints
}

// written is what the log says was put by the last entries that the database
// applied, of which the database must have some.
type written struct {
	puts    map[string]putOf // by key: the last one, where nothing in the window may delete it
	entries int              // that may change a key
	first   uint64           // the first entry that was looked at, 0 for none
	clouded bool             // by a user's rights or an alarm, which refuse puts
}

type putOf struct {
	print putSum
	lease int64
	sure  bool // it is refused by nothing but rights and alarms
}

// written reads the window's entries once more, with their content.
func (s *Survivor) written(ctx context.Context) (written, error) {
	w := written{puts: map[string]putOf{}}
	last := s.Info.RaftIndex
	if s.Log.at(last) == nil {
		return w, nil
	}
	for e, err := range s.entries(ctx, max(last, window)-window+1, last) {
		if err != nil {
			return w, err
		}
		w.add(e)
	}
	return w, nil
}

func (w *written) add(e *raftpb.Entry) {
	if w.first == 0 {
		w.first = e.GetIndex()
	}
	r := requestOf(e)
	if r == nil {
		return
	}
	w.entries++
	switch {
	case r.Put != nil:
		w.put(r.Put, true)
	case r.DeleteRange != nil:
		w.delete(r.DeleteRange)
	case r.Txn != nil:
		w.txn(r.Txn)
	case r.LeaseRevoke != nil:
		maps.DeleteFunc(w.puts, func(_ string, p putOf) bool { return p.lease == r.LeaseRevoke.ID })
	case r.Alarm != nil || r.AuthEnable != nil || r.AuthDisable != nil:
		w.clouded = true
	}
}

func (w *written) put(p *pb.PutRequest, sure bool) {
	if p.IgnoreValue || p.IgnoreLease {
		delete(w.puts, string(p.Key)) // the entry does not tell what it puts
		return
	}
	w.puts[string(p.Key)] = putOf{putSumOf(p.Key, p.Value), p.Lease, sure && p.Lease == 0}
}

// delete takes away what the database need not have any more.
func (w *written) delete(d *pb.DeleteRangeRequest) {
	if len(d.RangeEnd) == 0 {
		delete(w.puts, string(d.Key))
		return
	}
	all := bytes.Equal(d.RangeEnd, []byte{0})
	for key := range w.puts {
		if key >= string(d.Key) && (all || key < string(d.RangeEnd)) {
			delete(w.puts, key)
		}
	}
}

func (w *written) txn(t *pb.TxnRequest) {
	for _, op := range t.Success {
		switch {
		case op.GetRequestPut() != nil:
			w.put(op.GetRequestPut(), false)
		case op.GetRequestDeleteRange() != nil:
			w.delete(op.GetRequestDeleteRange())
		case op.GetRequestTxn() != nil:
			w.txn(op.GetRequestTxn())
		}
	}
	for _, op := range t.Failure { // seldom taken; what it may change tells nothing
		switch {
		case op.GetRequestPut() != nil:
			delete(w.puts, string(op.GetRequestPut().Key))
		case op.GetRequestDeleteRange() != nil:
			w.delete(op.GetRequestDeleteRange())
		}
	}
}

// judge holds the database against what was written.
func (s *Survivor) judge(w written) Belonging {
	index := s.Info.RaftIndex
	found, sure := false, false
	held := s.prints()
	for _, p := range w.puts {
		found, sure = found || held[p.print], sure || p.sure
	}
	switch {
	case found:
		return Belonging{Proved, fmt.Sprintf("the database holds what the log's entries up to %d put", index)}
	case w.clouded || s.refusesPuts || !s.Log.whole() || w.first == 0:
		return Belonging{NotProvable, fmt.Sprintf("the log's entries up to %d do not tell what the database must hold", index)}
	case sure || len(w.puts) >= enoughPuts:
		return Belonging{Disproved, fmt.Sprintf("the database holds nothing of what the log's entries %d to %d put", w.first, index)}
	case w.first == 1 && !s.Log.restored(index) && s.Info.Revision > 1+int64(w.entries):
		return Belonging{Disproved, fmt.Sprintf("the database is at revision %d; the %d entries of the log up to its entry %d cannot have come so far", s.Info.Revision, index, index)}
	}
	return Belonging{NotProvable, fmt.Sprintf("the log's entries up to %d put nothing that the database must hold", index)}
}

// restored reports whether a log may have begun with a database that was there
// before it: it has a snapshot record that early.
func (l *Log) restored(index uint64) bool {
	for _, s := range l.snapshots {
		if s.index <= index {
			return true
		}
	}
	return false
}
