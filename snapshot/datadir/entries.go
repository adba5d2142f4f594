package datadir

import (
	"context"
	"iter"
	"os"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// entries yields the log's entries from one index to another with their content,
// without those that were replaced later. What cannot be read is passed over to
// the next segment: the log's survey has named it.
func (s *Survivor) entries(ctx context.Context, from, to uint64) iter.Seq2[*raftpb.Entry, error] {
	return func(yield func(*raftpb.Entry, error) bool) {
		segments, err := segmentsOf(s.Dir.WAL())
		if err != nil {
			yield(nil, err)
			return
		}
		for i, seg := range segments {
			if i+1 < len(segments) && segments[i+1].first <= from || seg.first > to {
				continue
			}
			more, err := s.entriesIn(ctx, seg, from, to, yield)
			if err != nil {
				yield(nil, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// entriesIn reports whether more entries are wanted.
func (s *Survivor) entriesIn(ctx context.Context, seg segment, from, to uint64, yield func(*raftpb.Entry, error) bool) (bool, error) {
	file, err := os.Open(seg.path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	decoder, err := newDecoder(file)
	if err != nil {
		return false, err
	}
	for n := 1; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		var rec walpb.Record
		if decoder.next(&rec) != nil {
			return true, nil // its end, or damage
		}
		switch rec.GetType() {
		case wal.CrcType:
			decoder.UpdateCRC(rec.GetCrc())
		case wal.EntryType:
			var e raftpb.Entry
			if proto.Unmarshal(rec.Data, &e) != nil {
				return true, nil
			}
			if e.GetIndex() >= from && e.GetIndex() <= to && s.holds(&e) && !yield(&e, nil) {
				return false, nil
			}
		}
	}
}

// holds reports whether an entry was not replaced by a later one.
func (s *Survivor) holds(e *raftpb.Entry) bool {
	stretch := s.Log.at(e.GetIndex())
	if stretch == nil {
		return false
	}
	term, ok := stretch.Term(e.GetIndex())
	return ok && term == e.GetTerm()
}

// requestOf is what an entry asks of the keyspace; nil for all else.
func requestOf(e *raftpb.Entry) *pb.InternalRaftRequest {
	if e.GetType() != raftpb.EntryNormal || len(e.Data) == 0 {
		return nil
	}
	if _, ok := parseV2(e.Data); ok {
		return nil
	}
	var r pb.InternalRaftRequest
	if proto.Unmarshal(e.Data, &r) != nil {
		return nil
	}
	return &r
}
