package datadir_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// extend appends entries to a member's log as etcd does, the first one at
// index from, and a hard state. Where from is in the log already, the entries
// replace what stands there.
func extend(t testing.TB, dir string, from, term, commit uint64, data ...*raftpb.Entry) {
	t.Helper()
	w, err := wal.Open(zap.NewNop(), open(t, dir).WAL(), &walpb.Snapshot{})
	require.NoError(t, err)
	_, _, _, err = w.ReadAll()
	require.NoError(t, err)
	for i, e := range data {
		e.Index, e.Term = proto.Uint64(from+uint64(i)), proto.Uint64(term)
	}
	require.NoError(t, w.Save(&raftpb.HardState{Term: proto.Uint64(term), Vote: proto.Uint64(1), Commit: proto.Uint64(commit)}, data))
	require.NoError(t, w.Close())
}

func request(t testing.TB, r *pb.InternalRaftRequest) *raftpb.Entry {
	t.Helper()
	r.Header = &pb.RequestHeader{ID: 7}
	data, err := proto.Marshal(r)
	require.NoError(t, err)
	return &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Data: data}
}

func put(t testing.TB, key string) *raftpb.Entry {
	t.Helper()
	return request(t, &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte(key), Value: []byte("v")}})
}

// v2 is an entry as etcd up to 3.5 writes it: an etcdserverpb.Request, by hand,
// since the linked etcd has no such message any more.
func v2(method, path, value string) *raftpb.Entry {
	data := protowire.AppendTag(nil, 1, protowire.VarintType)
	data = protowire.AppendVarint(data, 7)
	for i, text := range []string{method, path, value} {
		data = protowire.AppendTag(data, protowire.Number(2+i), protowire.BytesType)
		data = protowire.AppendString(data, text)
	}
	return &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Data: data}
}

func confChange(t testing.TB, kind raftpb.ConfChangeType, id uint64, member any) *raftpb.Entry {
	t.Helper()
	context, err := json.Marshal(member)
	require.NoError(t, err)
	data, err := proto.Marshal(&raftpb.ConfChange{Type: kind.Enum(), NodeId: proto.Uint64(id), Context: context})
	require.NoError(t, err)
	return &raftpb.Entry{Type: raftpb.EntryConfChange.Enum(), Data: data}
}

// old makes a database look like one of etcd 3.4, which keeps neither the term
// nor the ConfState, nor any version.
func old(t testing.TB, dir string) {
	t.Helper()
	db, err := bolt.Open(open(t, dir).Database(), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		for _, key := range []string{"term", "confState", "storageVersion"} {
			if err := tx.Bucket([]byte("meta")).Delete([]byte(key)); err != nil {
				return err
			}
		}
		return tx.DeleteBucket([]byte("cluster"))
	}))
	require.NoError(t, db.Close())
}

// The log of etcd 3.4 and 3.5: v2 requests, a learner that is added and
// promoted, and entries that the database has and the log repeats.
func TestOldLog(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	crash(t, dir, 5)
	s := survey(t, dir)
	last, term := s.Newest()
	old(t, dir)
	const learner = 0xabcdef
	member := membership.ConfigChangeContext{Member: membership.Member{
		ID: learner, RaftAttributes: membership.RaftAttributes{PeerURLs: []string{"http://new:2380"}, IsLearner: true},
	}}
	promoted := member
	promoted.IsPromote = true
	lease := &pb.InternalRaftRequest{LeaseGrant: &pb.LeaseGrantRequest{ID: 99, TTL: 3600}}
	entries := []*raftpb.Entry{
		confChange(t, raftpb.ConfChangeAddLearnerNode, learner, member),
		confChange(t, raftpb.ConfChangeAddLearnerNode, learner, member), // repeated
		v2("PUT", "/0/members/"+types.ID(learner).String()+"/attributes", `{"name":"newcomer","clientURLs":["http://new:2379"]}`),
		v2("PUT", "/0/members/1234/attributes", `{"name":"nobody"}`), // only the v2 store knew it
		confChange(t, raftpb.ConfChangeAddNode, learner, promoted),
		v2("PUT", "/0/version", "3.4.0"),
		v2("SYNC", "", ""),
		v2("PUT", "/1/users/key", "of the old v2 keyspace"),
		request(t, lease),
		request(t, lease), // repeated
		request(t, &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: []byte("/leased"), Value: []byte("v"), Lease: 99}}),
		{Type: raftpb.EntryNormal.Enum()}, // a new leader's
	}
	extend(t, dir, last+1, term, last+uint64(len(entries)), entries...)

	r := replay(t, dir, datadir.ReplayOptions{})
	require.Equal(t, last+uint64(len(entries)), r.Last)
	require.Contains(t, r.Voters, uint64(learner))
	db := database(t, r)
	require.Contains(t, keys(t, db), "/leased")
	members, _, err := db.Members()
	require.NoError(t, err)
	require.Contains(t, members, snapshot.Member{ID: learner, Name: "newcomer", PeerURLs: []string{"http://new:2380"}, ClientURLs: []string{"http://new:2379"}})
	info, err := db.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, info.Leases)
	require.Equal(t, "3.4.0", info.ClusterVersion)
	require.Zero(t, info.RaftTerm, "with a term, etcd 3.6 would take it for a database of 3.5")

	// It still looks like 3.4's after the restore, and a real etcd starts on it.
	target := filepath.Join(t.TempDir(), "etcd")
	_, err = restore(t, r, one(target, loopback(t)))
	require.NoError(t, err)
	require.Zero(t, survey(t, target).Info.RaftTerm)
}

// An isolated leader's entry has the shape of one that was acknowledged. The
// peers' dirs decide.
func TestStaleLeader(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	extend(t, dirs["etcd-0"], 1613, 2, 1612, put(t, "/stale"))
	for _, name := range []string{"etcd-1", "etcd-2"} {
		extend(t, dirs[name], 1613, 3, 1612, &raftpb.Entry{Type: raftpb.EntryNormal.Enum()}, put(t, "/acknowledged"))
	}
	alone := replay(t, dirs["etcd-0"], datadir.ReplayOptions{})
	require.Contains(t, keys(t, database(t, alone)), "/stale")
	require.Equal(t, []datadir.Change{{Revision: 1487, Key: "/stale"}}, alone.Unproven, "kept, and said")

	a, b, c := survey(t, dirs["etcd-0"]), survey(t, dirs["etcd-1"]), survey(t, dirs["etcd-2"])
	best, err := datadir.Best([]*datadir.Survivor{a, b, c})
	require.NoError(t, err)
	require.Equal(t, b, best)
	r, err := best.Replay(t.Context(), datadir.ReplayOptions{Peers: []*datadir.Survivor{a, c}})
	require.NoError(t, err)
	defer r.File.Close()
	require.Empty(t, r.Unproven)
	require.Contains(t, keys(t, database(t, r)), "/acknowledged")
	require.NotContains(t, keys(t, database(t, r)), "/stale")

	// A longer log of an older term is not the newer one.
	extend(t, dirs["etcd-0"], 1614, 2, 1612, put(t, "/stale2"), put(t, "/stale3"), put(t, "/stale4"))
	best, err = datadir.Best([]*datadir.Survivor{survey(t, dirs["etcd-0"]), b})
	require.NoError(t, err)
	require.Equal(t, b, best)
}

// A new leader's entries replace those of the old one further down in the log.
func TestReplacedEntries(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-0"]
	extend(t, dir, 1613, 2, 1612, put(t, "/replaced-1"), put(t, "/replaced-2"), put(t, "/replaced-3"))
	extend(t, dir, 1613, 3, 1613, put(t, "/kept-1"), put(t, "/kept-2"))
	r := replay(t, dir, datadir.ReplayOptions{})
	require.EqualValues(t, 1614, r.Last)
	all := keys(t, database(t, r))
	require.Contains(t, all, "/kept-1")
	require.Contains(t, all, "/kept-2")
	for _, gone := range []string{"/replaced-1", "/replaced-2", "/replaced-3"} {
		require.NotContains(t, all, gone)
	}
	require.Equal(t, []datadir.Span{
		{First: 1612, Last: 1613, Standing: datadir.CommitRecorded}, {First: 1614, Last: 1614, Standing: datadir.InThisLogOnly},
	}, r.Spans)
}

// Damage where the log is needed is refused with its place; what stands before
// it can be taken.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	segment := func(dir string) string {
		return filepath.Join(open(t, dir).WAL(), "0000000000000000-0000000000000000.wal")
	}
	end := func(path string) int { // of what was written
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for i := len(data) - 1; ; i-- {
			if data[i] != 0 {
				return i + 1
			}
		}
	}
	for name, tc := range map[string]struct {
		damage func(path string)
		last   uint64
		whole  bool // no error without AcceptLoss
	}{
		"a torn last record": {last: 1611, whole: true, damage: func(path string) {
			require.NoError(t, os.Truncate(path, int64(end(path)-5)))
		}},
		"zeros in the last record": {last: 1611, whole: true, damage: func(path string) {
			// A sector that was never written.
			n := end(path)
			overwrite(t, path, (n-1)/512*512, make([]byte, (n-1)%512+1))
		}},
		"a flipped bit": {last: 1611, damage: func(path string) {
			overwrite(t, path, 200_000, []byte{0xff, 0xff, 0xff})
		}},
		"an empty log": {last: 1611, damage: func(path string) { require.NoError(t, os.Truncate(path, 0)) }},
		"a foreign file": {last: 1611, damage: func(path string) {
			require.NoError(t, os.WriteFile(path, []byte("no log at all, but some text that is long enough"), 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := harbour(t)["etcd-1"]
			tc.damage(segment(dir))
			s := survey(t, dir)
			r, err := s.Replay(t.Context(), datadir.ReplayOptions{})
			if tc.whole {
				require.NoError(t, err)
			} else {
				damage := (*datadir.DamagedError)(nil)
				require.ErrorAs(t, err, &damage)
				require.ErrorIs(t, err, snapshot.ErrDamaged)
				require.EqualValues(t, 1611, damage.Index)
				r, err = s.Replay(t.Context(), datadir.ReplayOptions{AcceptLoss: true})
				require.NoError(t, err)
				require.NotEmpty(t, r.Damage)
			}
			defer r.File.Close()
			require.Equal(t, tc.last, r.Last)
			require.Equal(t, harbourCommitted, r.Hash)
		})
	}
}

// Where etcd ran with --wal-dir, or the log is lost, the newest writes are
// missing: that is for the operator to decide.
func TestNoLog(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	require.NoError(t, os.RemoveAll(open(t, dir).WAL()))
	s := survey(t, dir)
	_, err := s.Replay(t.Context(), datadir.ReplayOptions{})
	require.ErrorIs(t, err, datadir.ErrNoLog)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	r := replay(t, dir, datadir.ReplayOptions{AcceptLoss: true})
	require.Equal(t, harbourCommitted, r.Hash)
}

func overwrite(t testing.TB, path string, offset int, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(with, int64(offset))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A member that the leader sent a snapshot: the log begins anew behind it, and
// the database that it continues is the one that was sent.
func TestSentSnapshot(t *testing.T) {
	t.Parallel()
	dirs := harbour(t)
	source := replay(t, dirs["etcd-0"], datadir.ReplayOptions{CommittedOnly: true})
	dir := dirs["etcd-1"]
	d := open(t, dir)
	w, err := wal.Open(zap.NewNop(), d.WAL(), &walpb.Snapshot{})
	require.NoError(t, err)
	_, _, _, err = w.ReadAll()
	require.NoError(t, err)
	require.NoError(t, w.SaveSnapshot(&walpb.Snapshot{Index: proto.Uint64(2000), Term: proto.Uint64(2), ConfState: &raftpb.ConfState{}}))
	require.NoError(t, w.Save(&raftpb.HardState{Term: proto.Uint64(2), Commit: proto.Uint64(2000)}, nil))
	require.NoError(t, w.Sync())

	_, err = d.Replay(t.Context(), datadir.ReplayOptions{})
	require.ErrorIs(t, err, snapshot.ErrDamaged, "without the database that was sent, 1613 to 2000 are missing")
	require.ErrorContains(t, err, "the database of entry 2000, which the leader had sent, is missing")

	// Killed before the next entry came: whole, and nothing to apply.
	sent := filepath.Join(filepath.Dir(d.Database()), "00000000000007d0.snap.db")
	sendDatabase(t, source, sent)
	s := survey(t, dir)
	require.True(t, s.Log.EndKnown())
	r := replay(t, dir, datadir.ReplayOptions{})
	require.EqualValues(t, 2000, r.Last)
	require.Zero(t, r.Entries())

	require.NoError(t, os.Remove(sent))
	e := put(t, "/after")
	e.Index, e.Term = proto.Uint64(2001), proto.Uint64(2)
	require.NoError(t, w.Save(&raftpb.HardState{Term: proto.Uint64(2), Commit: proto.Uint64(2000)}, []*raftpb.Entry{e}))
	require.NoError(t, w.Close())
	_, err = d.Replay(t.Context(), datadir.ReplayOptions{})
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.ErrorContains(t, err, "entries 1613 to 2000 are missing")
	sendDatabase(t, source, sent)
	r = replay(t, dir, datadir.ReplayOptions{})
	require.EqualValues(t, 2001, r.Last)
	require.Contains(t, keys(t, database(t, r)), "/after")
}

// sendDatabase writes a database at path as a leader sends it, of entry 2000.
func sendDatabase(t testing.TB, source *datadir.Replay, path string) {
	t.Helper()
	data, err := os.ReadFile(procPath(source.File))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), []byte{0, 0, 0, 0, 0, 0, 0x07, 0xd0})
	}))
	require.NoError(t, db.Close())
}

// What a process has open is refused, whatever its locks say.
func TestInUse(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	db, err := bolt.Open(open(t, dir).Database(), 0o600, nil)
	require.NoError(t, err)
	_, err = open(t, dir).Survey(t.Context())
	require.ErrorIs(t, err, snapshot.ErrInUse)
	require.NoError(t, db.Close())
	survey(t, dir)
}

// What this process itself has open is not in use by the programs that it starts:
// for a moment each of them has it open, too.
func TestNotInUseByOwnChildren(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	file, err := os.OpenFile(open(t, dir).Database(), os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	done := make(chan struct{})
	var starting sync.WaitGroup
	for range 2 {
		starting.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_ = exec.CommandContext(t.Context(), "/bin/true").Run()
				}
			}
		})
	}
	for range 10 {
		if err = open(t, dir).InUse(); err != nil {
			break
		}
	}
	close(done)
	starting.Wait()
	require.NoError(t, err)
}

func TestOtherCluster(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	crash(t, dir, 1)
	_, err := datadir.Best([]*datadir.Survivor{survey(t, harbour(t)["etcd-1"]), survey(t, dir)})
	require.ErrorIs(t, err, datadir.ErrOtherCluster)
}

// A learner's dir becomes a voter's: etcd's own --force-new-cluster panics.
func TestLearnerSurvivor(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	db, err := bolt.Open(open(t, dir).Database(), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("members")).Put([]byte("2ce26d0987a0445e"),
			[]byte(`{"id":3234267370102998110,"name":"master-1","peerURLs":["http://127.0.0.1:12381"],"isLearner":true}`))
	}))
	require.NoError(t, db.Close())
	r := replay(t, dir, datadir.ReplayOptions{})
	require.Equal(t, []uint64{survey(t, dir).Log.NodeID}, r.Learners)
	target, peer := filepath.Join(t.TempDir(), "etcd"), loopback(t)
	_, err = restore(t, r, one(target, peer))
	require.NoError(t, err)
	works(t, ready(t, start(t, etcdConfig("one", target, peer)).Server))
}
