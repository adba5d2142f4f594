package datadir_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

const walTail = "/registry/configmaps/infra-production/wal-tail"

// What etcd itself answered on harbour's members: a real restart of two of
// three, and --force-new-cluster, which loses the acknowledged wal-tail.
var (
	harbourWhole     = snapshot.Hash{Hash: 300550119, HashRevision: 1486, CompactRevision: -1}
	harbourCommitted = snapshot.Hash{Hash: 2834535985, HashRevision: 1485, CompactRevision: -1}
)

func TestReplayHarbour(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	require.Len(t, dirs, 3)
	for name, dir := range dirs {
		watch := watchTree(t, dir)
		whole := replay(t, dir, datadir.ReplayOptions{})
		require.Equal(t, harbourWhole, whole.Hash, name)
		require.EqualValues(t, 1612, whole.Last)
		require.Equal(t, []datadir.Span{{First: 1612, Last: 1612, Standing: datadir.InThisLogOnly}}, whole.Spans)
		require.Equal(t, []datadir.Change{{Revision: 1486, Key: walTail}}, whole.Unproven)
		require.Len(t, whole.Voters, 3)

		db := database(t, whole)
		require.Contains(t, keys(t, db), walTail)
		hash, err := db.HashKV(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, harbourWhole, hash, "as this package's own reader computes it")
		hash, err = db.HashKV(t.Context(), 1485)
		require.NoError(t, err)
		require.Equal(t, harbourCommitted, hash)

		cut := replay(t, dir, datadir.ReplayOptions{CommittedOnly: true})
		require.Equal(t, harbourCommitted, cut.Hash, name)
		require.NotContains(t, keys(t, database(t, cut)), walTail)
		require.EqualValues(t, 1612, cut.LogLast)
		require.Empty(t, cut.Unproven)
		watch.unchanged(t)
	}
}

// A peer that went on without this member, and keeps no log from that time,
// applied some entry of each index; it need not be the one that stands here.
func TestPeerBeyondTheLog(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	extend(t, dirs["etcd-0"], 1613, 2, 1611, put(t, "/stale"))
	own, peer := survey(t, dirs["etcd-0"]), survey(t, dirs["etcd-2"])
	peer.Log.Stretches, peer.Info.RaftIndex, peer.Info.RaftTerm = nil, 1700, 3
	opts := datadir.ReplayOptions{Peers: []*datadir.Survivor{peer}}
	_, err := own.Replay(t.Context(), opts)
	var loss *datadir.LossError
	require.ErrorAs(t, err, &loss, "what the peer has was acknowledged, perhaps")
	require.Contains(t, loss.Doubts(), "went to entry 1700")
	opts.AcceptLoss = true
	r, err := own.Replay(t.Context(), opts)
	require.NoError(t, err)
	defer r.File.Close()
	require.NotNil(t, r.Loss([]*datadir.Survivor{own, peer}))
	require.Equal(t, []datadir.Span{{First: 1612, Last: 1613, Standing: datadir.InThisLogOnly}}, r.Spans)
	require.Equal(t, "/stale", r.Unproven[len(r.Unproven)-1].Key)

	opts.CommittedOnly = true
	cut, err := own.Replay(t.Context(), opts)
	require.NoError(t, err)
	defer cut.File.Close()
	require.EqualValues(t, 1611, cut.Last)

	// The same entry in both logs further up tells that those before it agree.
	peer.Info.RaftIndex, peer.Info.RaftTerm = 1613, 2
	r, err = own.Replay(t.Context(), datadir.ReplayOptions{Peers: []*datadir.Survivor{peer}, AcceptLoss: true})
	require.NoError(t, err)
	defer r.File.Close()
	require.Equal(t, []datadir.Span{{First: 1612, Last: 1613, Standing: datadir.CommitRecorded}}, r.Spans)
}

// The dirs of a majority prove what one dir cannot.
func TestReplayWithPeers(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	own, peer := survey(t, dirs["etcd-0"]), survey(t, dirs["etcd-2"])
	r, err := own.Replay(t.Context(), datadir.ReplayOptions{Peers: []*datadir.Survivor{peer}})
	require.NoError(t, err)
	defer r.File.Close()
	require.Equal(t, []datadir.Span{{First: 1612, Last: 1612, Standing: datadir.HeldByMajority}}, r.Spans)
	require.Empty(t, r.Unproven)
	require.EqualValues(t, 1486, r.ProvenRevision)

	// And no more than they hold.
	extend(t, dirs["etcd-0"], 1613, 2, 1611, put(t, "/own"))
	r, err = survey(t, dirs["etcd-0"]).Replay(t.Context(), datadir.ReplayOptions{Peers: []*datadir.Survivor{peer}})
	require.NoError(t, err)
	defer r.File.Close()
	require.Equal(t, []datadir.Span{
		{First: 1612, Last: 1612, Standing: datadir.HeldByMajority}, {First: 1613, Last: 1613, Standing: datadir.InThisLogOnly},
	}, r.Spans)
	require.Equal(t, []datadir.Change{{Revision: 1487, Key: "/own"}}, r.Unproven)
	require.EqualValues(t, 1486, r.ProvenRevision)
}
