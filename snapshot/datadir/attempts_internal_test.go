package datadir

import (
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Who put revision 50 of a key, as far as the requests before the one that found it
// tell; 0 for nobody who is certain. Entry 10 is known to be revision 20, and entry
// 100 revision 60.
func TestWriterOfARevision(t *testing.T) {
	t.Parallel()
	put := func(entry uint64, guard int64) snapshot.Request {
		return snapshot.Request{Entry: entry, Condition: snapshot.OnRevision, Guard: guard}
	}
	deletion := put(30, 40)
	deletion.Deleted = true
	leased := put(30, 40)
	leased.Leased = true
	known := keyRequests{anchors: []anchor{{10, 20}, {100, 60}}}
	for name, tc := range map[string]struct {
		k        keyRequests
		requests []snapshot.Request
		want     uint64
	}{
		"the only one":                   {known, []snapshot.Request{put(20, 30)}, 20},
		"the only one, whatever it asks": {known, []snapshot.Request{{Entry: 20, Condition: snapshot.OnOther}}, 20},
		"none":                           {known, nil, 0},
		"before the lower bound":         {known, []snapshot.Request{put(9, 30)}, 0},
		"behind the upper bound":         {known, []snapshot.Request{put(101, 30)}, 0},
		"maybe before the log":           {keyRequests{anchors: []anchor{{100, 60}}}, []snapshot.Request{put(20, 30)}, 0},
		"who had seen more":              {known, []snapshot.Request{put(20, 30), put(30, 40)}, 30},
		"who came late with less":        {known, []snapshot.Request{put(20, 40), put(30, 30)}, 20},
		"the first of two alike":         {known, []snapshot.Request{put(20, 40), put(30, 40)}, 20},
		"who had seen it is later":       {known, []snapshot.Request{put(20, 40), put(30, 50)}, 20},
		"another kind among them":        {known, []snapshot.Request{put(20, 40), {Entry: 30}}, 0},
		"created and changed":            {known, []snapshot.Request{put(20, 0), put(30, 40)}, 30},
		"created by one of two":          {known, []snapshot.Request{put(20, 0), put(30, 0)}, 20},
		"changed, seen in a former life": {known, []snapshot.Request{put(20, 0), put(30, 15)}, 0},
		"created, deleted, created":      {known, []snapshot.Request{put(20, 0), deletion, put(40, 0)}, 0},
		"created under a lease":          {known, []snapshot.Request{put(20, 0), leased}, 0},
		"ranges are deleted":             {keyRequests{known.anchors, true}, []snapshot.Request{put(20, 0), put(30, 40)}, 0},
	} {
		var requests []*snapshot.Attempt
		for _, r := range tc.requests {
			requests = append(requests, &snapshot.Attempt{Request: r})
		}
		got := uint64(0)
		if w := tc.k.writer(50, requests); w != nil {
			got = w.Entry
		}
		require.Equal(t, tc.want, got, name)
	}
}

// What a request changes, and on which condition: an API server's are told, and of
// others no more than is certain.
func TestWritesOfARequest(t *testing.T) {
	t.Parallel()
	compare := func(key string, target pb.Compare_CompareTarget, result pb.Compare_CompareResult) *pb.Compare {
		return &pb.Compare{Key: []byte(key), Target: target, Result: result, TargetUnion: &pb.Compare_ModRevision{ModRevision: 7}}
	}
	seen := compare("k", pb.Compare_MOD, pb.Compare_EQUAL)
	ranged := compare("k", pb.Compare_MOD, pb.Compare_EQUAL)
	ranged.RangeEnd = []byte("l")
	for name, c := range map[string]struct {
		compares  []*pb.Compare
		condition snapshot.Condition
		guard     int64
	}{
		"none":             {nil, snapshot.Always, 0},
		"an API server's":  {[]*pb.Compare{seen}, snapshot.OnRevision, 7},
		"two":              {[]*pb.Compare{seen, seen}, snapshot.OnOther, 0},
		"of another key":   {[]*pb.Compare{compare("j", pb.Compare_MOD, pb.Compare_EQUAL)}, snapshot.OnOther, 0},
		"of many keys":     {[]*pb.Compare{ranged}, snapshot.OnOther, 0},
		"of its version":   {[]*pb.Compare{compare("k", pb.Compare_VERSION, pb.Compare_EQUAL)}, snapshot.OnOther, 0},
		"that is no equal": {[]*pb.Compare{compare("k", pb.Compare_MOD, pb.Compare_GREATER)}, snapshot.OnOther, 0},
	} {
		r := within(putting("k", "v", 9), deleting("k", "l"))
		r.Txn.Compare = c.compares
		require.Equal(t, []snapshot.Request{
			{Key: []byte("k"), Value: []byte("v"), Leased: true, Condition: c.condition, Guard: c.guard},
			{Key: []byte("k"), RangeEnd: []byte("l"), Deleted: true, Condition: snapshot.OnOther},
		}, writesOf(r), name)
		nested := within(r, nil)
		for _, w := range writesOf(nested) {
			require.Equal(t, snapshot.OnOther, w.Condition, name)
			require.Zero(t, w.Guard, name)
		}
		require.Len(t, writesOf(nested), 2)
	}
	require.Equal(t, []snapshot.Request{{Key: []byte("k"), Value: []byte("v")}}, writesOf(putting("k", "v", 0)))
	require.Equal(t, []snapshot.Request{{Key: []byte("k"), RangeEnd: []byte("l"), Deleted: true}}, writesOf(deleting("k", "l")))
	require.Empty(t, writesOf(&pb.InternalRaftRequest{Compaction: &pb.CompactionRequest{Revision: 5}}))
}
