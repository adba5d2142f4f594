package datadir

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func putting(key, value string, lease int64) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: lease}}
}

func deleting(key, end string) *pb.InternalRaftRequest {
	return &pb.InternalRaftRequest{DeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}
}

// within is a transaction that does the one, or else the other.
func within(then, otherwise *pb.InternalRaftRequest) *pb.InternalRaftRequest {
	ops := func(r *pb.InternalRaftRequest) []*pb.RequestOp {
		switch {
		case r == nil:
			return nil
		case r.Put != nil:
			return []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: r.Put}}}
		case r.Txn != nil:
			return []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: r.Txn}}}
		}
		return []*pb.RequestOp{{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r.DeleteRange}}}
	}
	return &pb.InternalRaftRequest{Txn: &pb.TxnRequest{Success: ops(then), Failure: ops(otherwise)}}
}

// times are n requests of keys of their own.
func times(n int, of func(key string) *pb.InternalRaftRequest) (all []*pb.InternalRaftRequest) {
	for i := range n {
		all = append(all, of(fmt.Sprint("k", i)))
	}
	return all
}

// Whether a log went on from a database shows in what its last entries put: one that
// is there proves it, and none of what must be there disproves it. What may have been
// refused, or deleted since, need not be there.
func TestWhatTheDatabaseMustHold(t *testing.T) {
	t.Parallel()
	type requests = []*pb.InternalRaftRequest
	guarded := func(key string) *pb.InternalRaftRequest { return within(putting(key, "x", 0), nil) }
	leased := func(key string) *pb.InternalRaftRequest { return putting(key, "x", 9) }
	revoke := func(id int64) *pb.InternalRaftRequest {
		return &pb.InternalRaftRequest{LeaseRevoke: &pb.LeaseRevokeRequest{ID: id}}
	}
	b := putting("b", "2", 0)
	for name, c := range map[string]struct {
		entries requests // the database has a: 1
		change  func(*Survivor)
		want    Verdict
	}{
		"one of two is there":               {requests{b, putting("a", "1", 0)}, nil, Proved},
		"one in a transaction is there":     {requests{within(within(putting("a", "1", 0), nil), nil)}, nil, Proved},
		"none is there":                     {requests{b}, nil, Disproved},
		"an older value is there":           {requests{putting("a", "1", 0), putting("a", "2", 0)}, nil, Disproved},
		"seven that may have been refused":  {times(7, guarded), nil, NotProvable},
		"eight that may have been refused":  {times(8, guarded), nil, Disproved},
		"one with a lease":                  {times(1, leased), nil, NotProvable},
		"eight, their lease revoked":        {append(times(8, leased), revoke(9)), nil, NotProvable},
		"eight, another lease revoked":      {append(times(8, leased), revoke(8)), nil, Disproved},
		"deleted since":                     {requests{b, deleting("b", "")}, nil, NotProvable},
		"another deleted since":             {requests{b, deleting("c", "")}, nil, Disproved},
		"deleted with its neighbours":       {requests{b, deleting("a", "c")}, nil, NotProvable},
		"neighbours before it deleted":      {requests{b, deleting("a", "b")}, nil, Disproved},
		"all from there on deleted":         {requests{b, deleting("a", "\x00")}, nil, NotProvable},
		"all behind it deleted":             {requests{b, deleting("c", "\x00")}, nil, Disproved},
		"deleted in a transaction":          {requests{b, within(deleting("b", ""), nil)}, nil, NotProvable},
		"deleted where that did not hold":   {requests{b, within(nil, deleting("b", ""))}, nil, NotProvable},
		"put again where that did not hold": {requests{b, within(nil, b)}, nil, NotProvable},
		"put again without its value":       {requests{b, {Put: &pb.PutRequest{Key: []byte("b"), IgnoreValue: true}}}, nil, NotProvable},
		"an alarm refuses puts":             {requests{b, {Alarm: &pb.AlarmRequest{}}}, nil, NotProvable},
		"rights refuse puts":                {requests{{AuthEnable: &pb.AuthEnableRequest{}}, b}, nil, NotProvable},
		"the database refuses puts":         {requests{b}, func(s *Survivor) { s.refusesPuts = true }, NotProvable},
		"the log is damaged":                {requests{b}, func(s *Survivor) { s.Log.End = "damaged" }, NotProvable},
		"something stands behind the log":   {requests{b}, func(s *Survivor) { s.Log.Behind = 300 }, NotProvable},
		"no entry was looked at":            {nil, nil, NotProvable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := member(1, 200, 2, 200)
			s.newest = map[revision]putSum{{main: 5}: putSumOf([]byte("a"), []byte("1"))}
			if c.change != nil {
				c.change(s)
			}
			found := s.judge(writtenBy(t, 100, c.entries))
			require.Equal(t, c.want, found.Verdict, found.Reason)
		})
	}
}

func writtenBy(t *testing.T, first uint64, entries []*pb.InternalRaftRequest) written {
	t.Helper()
	w := written{puts: map[string]putOf{}}
	for i, r := range entries {
		data, err := proto.Marshal(r)
		require.NoError(t, err)
		w.add(&raftpb.Entry{Index: new(first + uint64(i)), Term: new(uint64(2)), Data: data})
	}
	return w
}

// Each entry makes one revision at most: a database that is further than a whole log
// could bring it is another one, unless the log began with one that was there.
func TestRevisionsOfAWholeLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first    uint64
		revision int64
		begins   uint64 // a snapshot record, 0 for none
		want     Verdict
	}{
		"as far as it goes":             {1, 3, 0, NotProvable},
		"further":                       {1, 4, 0, Disproved},
		"further, with entries before":  {2, 4, 0, NotProvable},
		"further, from a snapshot":      {1, 4, 200, NotProvable},
		"from a snapshot that is later": {1, 4, 201, Disproved},
	} {
		s := member(1, 200, 2, 200)
		s.Info.Revision = c.revision
		if c.begins > 0 {
			s.Log.snapshots = append(s.Log.snapshots, entryID{c.begins, 2})
		}
		found := s.judge(writtenBy(t, c.first, []*pb.InternalRaftRequest{deleting("b", ""), deleting("c", "")}))
		require.Equal(t, c.want, found.Verdict, "%s: %s", name, found.Reason)
	}
}

// Nine ids are named, and the others counted.
func TestManyIDs(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1, 2", hexIDs([]uint64{1, 2}))
	require.Equal(t, "1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more", hexIDs([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}))
}
