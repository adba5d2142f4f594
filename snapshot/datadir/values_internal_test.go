package datadir

import (
	"context"
	"crypto/sha1" //nolint:gosec // etcd's own ids
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os/user"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// The decisions over values: what real data dirs show in seconds, these show at
// once, each at its border.

// member is what a data dir says whose log goes to entry last of a term, and
// whose database has applied all of it that is committed.
func member(id, last, term, commit uint64) *Survivor {
	return &Survivor{
		Dir:  &Dir{Path: fmt.Sprintf("dir-%d", id)},
		Log:  &Log{NodeID: id, ClusterID: 7, Term: term, Commit: commit, Segments: 1, Stretches: []Stretch{{First: 1, Last: last, terms: []termRun{{1, term}}}}},
		Info: snapshot.Info{RaftIndex: commit, RaftTerm: term},
	}
}

// A log that ends before the commit it has on record has lost entries: its end is
// not known, and it says so.
func TestLogThatEndsBeforeItsCommit(t *testing.T) {
	t.Parallel()
	for commit, known := range map[uint64]bool{9: true, 10: true, 11: false} {
		l := member(1, 10, 2, commit).Log
		require.Equal(t, known, l.EndKnown(), commit)
		require.Equal(t, known, l.Tail(5).Damage == "", commit)
	}
	l := member(1, 10, 2, 10).Log
	l.Leftover = 100
	require.False(t, l.EndKnown(), "bytes behind it are no record")
	l.Torn = true
	require.True(t, l.EndKnown(), "a torn record is how a killed member ends")
	l.End, l.Torn = "damaged", false
	require.False(t, l.EndKnown())
	l.endsBehind, l.Behind = true, 20
	require.True(t, l.EndKnown(), "its newest records can be told")
	require.False(t, (&Log{}).EndKnown(), "there is no log")
}

// What a log lacks behind a database, each reason by itself.
func TestTailSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(l *Log)
		index  uint64
		want   string
	}{
		"nothing":               {func(*Log) {}, 5, ""},
		"damage at its end":     {func(l *Log) { l.End = "segment 2, offset 9" }, 5, "segment 2, offset 9"},
		"records behind":        {func(l *Log) { l.Behind, l.Leftover = 20, 100 }, 5, "records of entries up to 20"},
		"it ends before":        {func(*Log) {}, 11, "it ends before the database does, at entry 11"},
		"a snapshot was sent":   {func(l *Log) { l.Snapshot = 12 }, 5, "the database of entry 12, which the leader had sent"},
		"a committed entry":     {func(l *Log) { l.Commit = 11 }, 5, "entry 11 was committed, which is missing"},
		"one entry in between":  {func(l *Log) { l.Stretches[0].First = 7 }, 5, "entries 6 to 6 are missing"},
		"it continues just so":  {func(l *Log) { l.Stretches[0].First = 6 }, 5, ""},
		"all of it was applied": {func(*Log) {}, 10, ""},
	} {
		l := member(1, 10, 2, 5).Log
		c.change(l)
		got := l.Tail(c.index).Damage
		if c.want == "" {
			require.Empty(t, got, name)
			continue
		}
		require.Contains(t, got, c.want, name)
	}
}

// Entries are taken as raft's log takes them.
func TestEntriesReplaceEntries(t *testing.T) {
	t.Parallel()
	b := logBuilder{log: &Log{}}
	add := func(pairs ...[2]uint64) {
		for _, p := range pairs {
			require.NoError(t, b.entry(p[0], p[1]))
		}
	}
	add([2]uint64{1, 1}, [2]uint64{2, 1}, [2]uint64{3, 2}, [2]uint64{4, 2}, [2]uint64{3, 3})
	last, term := b.log.Last()
	require.Equal(t, []uint64{3, 3}, []uint64{last, term}, "entry 4 is gone")
	first, _ := b.log.Stretches[0].Term(2)
	require.EqualValues(t, 1, first)
	own, ok := b.log.Stretches[0].Term(3)
	require.True(t, ok)
	require.EqualValues(t, 3, own)
	_, ok = b.log.Stretches[0].Term(4)
	require.False(t, ok)

	add([2]uint64{5, 3})
	require.Len(t, b.log.Stretches, 2)
	require.Equal(t, "entries 4 to 4 are missing", b.log.Stretches[0].End)
	b.stop("offset 99")
	add([2]uint64{6, 3})
	require.Len(t, b.log.Stretches, 3, "what could not be read may have replaced entries")
	require.Equal(t, "offset 99", b.log.Stretches[1].End)
	require.Error(t, b.entry(0, 3))
}

// Of the states on record the newest count, and metadata are of one member.
func TestRecordsOfALog(t *testing.T) {
	t.Parallel()
	b := logBuilder{log: &Log{added: map[uint64]uint64{}, named: map[uint64]struct{}{}}}
	take := func(kind int64, m proto.Message) error {
		data, err := proto.Marshal(m)
		require.NoError(t, err)
		return b.take(nil, &walpb.Record{Type: &kind, Data: data})
	}
	require.NoError(t, take(wal.StateType, &raftpb.HardState{Term: new(uint64(3)), Commit: new(uint64(9)), Vote: new(uint64(1))}))
	require.NoError(t, take(wal.StateType, &raftpb.HardState{Term: new(uint64(2)), Commit: new(uint64(7)), Vote: new(uint64(1))}))
	require.Equal(t, []uint64{3, 9}, []uint64{b.log.Term, b.log.Commit})
	require.NoError(t, take(wal.MetadataType, &etcdserverpb.Metadata{NodeID: new(uint64(1)), ClusterID: new(uint64(7))}))
	require.NoError(t, take(wal.MetadataType, &etcdserverpb.Metadata{NodeID: new(uint64(1)), ClusterID: new(uint64(7))}))
	require.ErrorIs(t, take(wal.MetadataType, &etcdserverpb.Metadata{NodeID: new(uint64(2)), ClusterID: new(uint64(7))}), wal.ErrMetadataConflict)
	for _, index := range []uint64{8, 10} {
		require.NoError(t, take(wal.SnapshotType, &walpb.Snapshot{Index: new(index), Term: new(uint64(3))}))
	}
	b.finish()
	require.EqualValues(t, 8, b.log.Snapshot, "one beyond the commit was never held")

	for index, kind := range []raftpb.ConfChangeType{raftpb.ConfChangeAddNode, raftpb.ConfChangeAddLearnerNode, raftpb.ConfChangeRemoveNode, raftpb.ConfChangeUpdateNode} {
		id := uint64(11 + index)
		change, err := proto.Marshal(&raftpb.ConfChange{Type: kind.Enum(), NodeId: &id})
		require.NoError(t, err)
		require.NoError(t, take(wal.EntryType, &raftpb.Entry{Type: raftpb.EntryConfChange.Enum(), Index: new(uint64(1 + index)), Term: new(uint64(3)), Data: change}))
	}
	require.Equal(t, map[uint64]uint64{11: 1, 12: 2}, b.log.added)
	require.Subset(t, slices.Collect(maps.Keys(b.log.named)), []uint64{11, 12, 13, 14})
	kind := int64(77)
	require.ErrorContains(t, b.take(nil, &walpb.Record{Type: &kind}), "unknown type 77")
}

// Members that raft's snapshot does not know are zombies, unless the log added them
// behind it; a learner that is a voter there was never promoted in the database.
func TestDifferencesOfValues(t *testing.T) {
	t.Parallel()
	s := member(1, 10, 2, 10)
	members := []snapshot.Member{{ID: 1}, {ID: 2, IsLearner: true}, {ID: 3}, {ID: 4}, {ID: 5}, {ID: 6, IsLearner: true}}
	zombies, unpromoted := s.Differences(members)
	require.Empty(t, append(zombies, unpromoted...), "there is no such file")
	s.V2 = V2Membership{
		File: "5.snap", Index: 5, Members: map[uint64]bool{1: true, 2: true, 6: true},
		Learner: map[uint64]bool{6: true}, Removed: map[uint64]bool{4: true},
	}
	s.Log.added = map[uint64]uint64{3: 6, 4: 6, 5: 5}
	zombies, unpromoted = s.Differences(members)
	require.Equal(t, []uint64{4, 5}, zombies)
	require.Equal(t, []uint64{2}, unpromoted)
}

// A log by itself is refused for an older backup of another cluster.
func TestBridgeOfAnotherClusterOfValues(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 1})
	require.NoError(t, err)
	base, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	defer base.Close()
	s := member(1, 200, 2, 200)
	s.Members = []snapshot.Member{{ID: 9}}
	require.ErrorIs(t, s.continues(t.Context(), base), ErrForeignLog)
	s.Log.named = map[uint64]struct{}{9: {}}
	require.NoError(t, s.continues(t.Context(), base))
	require.Equal(t, NotProvable, s.Belongs.Verdict)
	for name, c := range map[string]struct {
		index, term uint64
		refused     bool
	}{
		"its last entry":    {200, 2, false},
		"one before":        {199, 2, false},
		"one with no term":  {150, 0, false},
		"just before it":    {0, 0, false},
		"beyond it":         {201, 2, true},
		"of another term":   {150, 3, true},
		"far before it all": {3, 2, true},
	} {
		s := member(1, 200, 2, 200)
		if name == "far before it all" {
			s.Log.Stretches[0].First = 5
		}
		require.Equal(t, c.refused, errors.Is(s.meets(c.index, c.term), ErrNoBridge), name)
	}
	require.ErrorContains(t, s.meets(202, 2), "that ends with entry 202, and the log has entries 1 to 200")
	s.Log.Stretches = nil
	require.ErrorContains(t, s.meets(5, 2), "it has no entries")
}

// Who counts as a voter that speaks for the survivor.
func TestEvidenceOfValues(t *testing.T) {
	t.Parallel()
	s := member(1, 10, 2, 10)
	unread := func(m *Survivor) *Survivor { m.Log.End = "damaged"; return m }
	for name, c := range map[string]struct {
		others   []*Survivor
		voters   []uint64
		held     int
		complete bool
		doubts   int
	}{
		"one of three":            {nil, []uint64{1, 2, 3}, 1, false, 0},
		"two of three":            {[]*Survivor{member(2, 9, 2, 9)}, []uint64{1, 2, 3}, 2, true, 0},
		"two of four":             {[]*Survivor{member(2, 9, 2, 9)}, []uint64{1, 2, 3, 4}, 2, false, 0},
		"one dir twice":           {[]*Survivor{member(1, 9, 2, 9)}, []uint64{1, 2, 3}, 1, false, 0},
		"no voter":                {[]*Survivor{member(9, 9, 2, 9)}, []uint64{1, 2, 3}, 1, false, 0},
		"further on":              {[]*Survivor{member(2, 11, 2, 9)}, []uint64{1, 2, 3}, 1, false, 1},
		"a newer term":            {[]*Survivor{member(2, 5, 3, 5)}, []uint64{1, 2, 3}, 1, false, 1},
		"an older term":           {[]*Survivor{member(2, 20, 1, 5)}, []uint64{1, 2, 3}, 2, true, 0},
		"its end is not known":    {[]*Survivor{unread(member(2, 9, 2, 9))}, []uint64{1, 2, 3}, 1, false, 1},
		"so in one of two copies": {[]*Survivor{unread(member(2, 9, 2, 9)), member(2, 9, 2, 9)}, []uint64{1, 2, 3}, 1, false, 1},
	} {
		e := s.Evidence(append([]*Survivor{s}, c.others...), c.voters)
		require.Equal(t, c.held, e.Held, name)
		require.Equal(t, c.complete, e.Complete(), name)
		require.Len(t, e.Doubts, c.doubts, name)
	}
	newborn := &Survivor{Dir: &Dir{}, Log: &Log{NodeID: 2}, Newborn: true, DatabaseErr: snapshot.ErrNotEtcd}
	require.Equal(t, 2, s.Evidence([]*Survivor{s, newborn}, []uint64{1, 2, 3}).Held, "it never held anything")
	ahead := member(2, 9, 2, 9)
	ahead.Info.RaftIndex = 10
	require.False(t, ahead.EndKnown(), "its database has what its log has not")
	behind := member(2, 5, 2, 5)
	behind.Log.Behind, behind.Log.BehindTerm, behind.Log.endsBehind = 11, 2, true
	require.Len(t, s.Evidence([]*Survivor{s, behind}, []uint64{1, 2, 3}).Doubts, 1, "it held entry 11")
}

// What is damage of a dir, and what is how a killed member ends.
func TestDamageOfValues(t *testing.T) {
	t.Parallel()
	torn := member(1, 10, 2, 10)
	torn.Log.Leftover, torn.Log.Torn = 40, true
	require.Empty(t, torn.Damage())
	torn.Log.Torn = false
	require.Contains(t, torn.Damage(), "40 bytes follow that are no record")
	require.Equal(t, "there is no write-ahead log", (&Survivor{Log: &Log{}}).Damage())
}

// Where the log's tail changes the voters, a majority of both counts.
func TestMajorityOfBothSets(t *testing.T) {
	t.Parallel()
	of := func(ids ...uint64) (list []snapshot.Member) {
		for _, id := range ids {
			list = append(list, snapshot.Member{ID: id})
		}
		return list
	}
	for name, c := range map[string]struct {
		before, after []uint64
		complete      bool
		voters        int
	}{
		"both":         {[]uint64{1, 2, 3}, []uint64{1, 2}, true, 2},
		"before alone": {[]uint64{1, 2, 3}, []uint64{1, 2, 4, 5}, false, 4},
		"after alone":  {[]uint64{1, 2, 4, 5, 6}, []uint64{1, 2, 3}, false, 5},
		"no change":    {[]uint64{1, 2, 3}, nil, true, 3},
	} {
		s := member(1, 10, 2, 10)
		s.Members = of(c.before...)
		all := []*Survivor{s, member(2, 9, 2, 9), member(3, 12, 2, 9)}
		r := &Replay{Survivor: s, Voters: c.after}
		e := r.Evidence(all[:2])
		require.Equal(t, c.complete, e.Complete(), name)
		require.Equal(t, c.voters, e.Voters, name)
		require.Nil(t, r.Loss(all[:2]), "no dir speaks against it")
		require.Equal(t, !c.complete, r.Loss(all) != nil, "%s: the third one went further", name)
	}
	learner := member(1, 10, 2, 10)
	learner.Members = []snapshot.Member{{ID: 1}, {ID: 2, IsLearner: true}}
	require.Equal(t, []uint64{1}, learner.Voters())
	learner.V2 = V2Membership{File: "x.snap", Members: map[uint64]bool{1: true}, Index: 5}
	learner.Members = []snapshot.Member{{ID: 1}, {ID: 3}}
	require.Equal(t, []uint64{1}, learner.Voters(), "raft does not know the other one")
}

// How far a majority, and how far a commit on record, reaches.
func TestHeldByMajority(t *testing.T) {
	t.Parallel()
	a, b, c := member(1, 10, 2, 5), member(2, 8, 2, 5), member(3, 7, 2, 5)
	all := []*Survivor{a, b, c}
	require.EqualValues(t, 8, heldByMajority(all, a, 5, 10, []uint64{1, 2, 3}))
	require.EqualValues(t, 7, heldByMajority(all, a, 5, 10, []uint64{1, 2, 3, 4}), "two of four are none")
	require.EqualValues(t, 5, heldByMajority(all, a, 5, 10, []uint64{1, 4, 5}), "who does not vote does not count")

	other := member(2, 8, 3, 8)
	require.EqualValues(t, 5, a.recorded(10, []*Survivor{other}), "its entry 8 is another one")
	require.EqualValues(t, 8, a.recorded(10, []*Survivor{member(2, 8, 2, 8)}))
	require.False(t, other.has(8, 2, a))
	require.True(t, b.has(8, 2, a))
	require.EqualValues(t, 9, (&Survivor{Log: &Log{Commit: 9, Snapshot: 3}, Info: snapshot.Info{RaftIndex: 5}}).Proven())

	r := &Replay{Database: 5, Last: 8}
	r.spans(6, 7)
	require.Equal(t, []Span{{6, 6, CommitRecorded}, {7, 7, HeldByMajority}, {8, 8, InThisLogOnly}}, r.Spans)
}

// Two dirs of one cluster, and two that are not.
func TestTwoClustersOfValues(t *testing.T) {
	t.Parallel()
	a := member(1, 10, 2, 8)
	best, err := Best([]*Survivor{a, member(2, 12, 2, 8)})
	require.NoError(t, err)
	require.EqualValues(t, 2, best.Log.NodeID)
	foreign := member(2, 12, 2, 8)
	foreign.Log.ClusterID = 8
	for _, other := range []*Survivor{foreign, member(2, 12, 3, 8), member(2, 12, 1, 8)} {
		_, err := Best([]*Survivor{a, other})
		require.ErrorIs(t, err, ErrOtherCluster)
		_, err = Best([]*Survivor{other, a})
		require.ErrorIs(t, err, ErrOtherCluster)
	}
	restored := member(2, 12, 2, 4)
	restored.Info.Revision = 2_000_000
	_, err = Best([]*Survivor{a, restored})
	require.ErrorIs(t, err, ErrOtherCluster, "at an earlier entry it is two million revisions further: a restore has raised it")
	restored.Info.Revision = 1_000_000
	_, err = Best([]*Survivor{a, restored})
	require.NoError(t, err)
	restored.Info.Revision, restored.DatabaseErr = 2_000_000, snapshot.ErrDamaged
	_, err = Best([]*Survivor{a, restored})
	require.NoError(t, err, "what a damaged database says of itself tells nothing")

	// Entry 9 of the second was never committed: the first one has another there.
	replaced := member(2, 9, 2, 5)
	newer := &Survivor{Dir: &Dir{}, Log: &Log{NodeID: 1, ClusterID: 7, Commit: 9, Segments: 1, Stretches: []Stretch{
		{First: 1, Last: 9, terms: []termRun{{1, 2}, {9, 3}}},
	}}, Info: snapshot.Info{RaftIndex: 9, RaftTerm: 3}}
	require.True(t, newer.contradicts(replaced))
	require.Equal(t, Replaced, replaced.Against([]*Survivor{newer}))
	require.False(t, a.contradicts(member(2, 9, 2, 5)))
}

// Ids tell whether a log is a database's.
func TestFoundersOfValues(t *testing.T) {
	t.Parallel()
	idOf := func(ids ...uint64) uint64 {
		var data []byte
		for _, id := range ids {
			data = binary.BigEndian.AppendUint64(data, id)
		}
		sum := sha1.Sum(data) //nolint:gosec // see above
		return binary.BigEndian.Uint64(sum[:8])
	}
	found, _ := founders([]uint64{1, 2, 3}, idOf(1, 3))
	require.True(t, found)
	found, all := founders([]uint64{1, 2, 3}, idOf(1, 4))
	require.False(t, found)
	require.True(t, all)

	s := member(1, 10, 2, 10)
	s.Members = []snapshot.Member{{ID: 1}, {ID: 2}}
	s.Log.ClusterID, s.Log.named = idOf(1, 2), map[uint64]struct{}{1: {}}
	require.Equal(t, Proved, s.sameMembers().Verdict)
	s.Log.ClusterID = idOf(5)
	require.Equal(t, NotProvable, s.sameMembers().Verdict, "it names one of them")
	s.Log.named = map[uint64]struct{}{5: {}}
	require.Equal(t, Disproved, s.sameMembers().Verdict)
	s.Log.ClusterID = 0
	require.Equal(t, NotProvable, s.sameMembers().Verdict)
}

// The term of the entry that the database applied last is a mark in both, unless
// it is one of the first entries, which are alike everywhere.
func TestSameMarkOfValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		index, term uint64
		end         string
		want        Verdict
	}{
		"the same":         {100, 2, "", Proved},
		"another":          {100, 3, "", Disproved},
		"early":            {63, 2, "", NotProvable},
		"just late enough": {64, 2, "", Proved},
		"early, another":   {5, 3, "", Disproved},
		"the log is torn":  {100, 3, "damaged", NotProvable},
		"it has no term":   {100, 0, "", NotProvable},
	} {
		s := member(1, 200, 2, 200)
		s.Info.RaftIndex, s.Info.RaftTerm, s.Log.End = c.index, c.term, c.end
		require.Equal(t, c.want, s.sameMark().Verdict, name)
	}
}

// Ids and content are weighed together: what either disproves is disproved, and
// where neither tells, both reasons are given.
func TestBelongsOfValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *Survivor)
		want   Verdict
		says   []string
	}{
		"nothing tells": {func(*Survivor) {}, NotProvable, []string{"the database names no member, and ", "do not tell"}},
		"the ids say no": {func(s *Survivor) {
			s.Members, s.Info.RaftTerm = []snapshot.Member{{ID: 9}}, 2 // the entry is the same
		}, Disproved, []string{"are none of this cluster's"}},
		"the entry says no":  {func(s *Survivor) { s.Info.RaftTerm = 3 }, Disproved, []string{"entry 200 is of term 2 in the log"}},
		"the entry says yes": {func(s *Survivor) { s.Info.RaftTerm = 2 }, Proved, []string{"entry 200 is of term 2 in both"}},
		"it ends before its own": {func(s *Survivor) {
			s.Log.Stretches[0].Last, s.Log.Snapshot = 300, 300
		}, Disproved, []string{"its own went to entry 300"}},
	} {
		s := member(1, 200, 2, 200)
		s.Info.RaftTerm = 0
		c.change(s)
		b, err := s.belongs(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, c.want, b.Verdict, "%s: %s", name, b.Reason)
		for _, says := range c.says {
			require.Contains(t, b.Reason, says, name)
		}
	}
}

// A dir that was built is held against what etcd asks of one that it starts on.
func TestInvariantsOfValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *Survivor)
		want   string // "" for none
	}{
		"as it should be":                {func(*Survivor) {}, ""},
		"its log is damaged":             {func(s *Survivor) { s.Log.End = "offset 9" }, "the log cannot be read offset 9"},
		"a snapshot behind the database": {func(s *Survivor) { s.Log.Snapshot = 9 }, ""},
		"one beyond the database":        {func(s *Survivor) { s.Log.Snapshot = 11 }, "do not fit"},
		"a database beyond the log":      {func(s *Survivor) { s.Info.RaftIndex = 11 }, "do not fit"},
		"a database of a later term":     {func(s *Survivor) { s.Info.RaftTerm = 3 }, "do not fit"},
		"an entry of a later term":       {func(s *Survivor) { s.Log.Stretches[0].terms[0].term = 3 }, "do not fit"},
		"a log of nobody":                {func(s *Survivor) { s.Members[0].ID = 2 }, "none of the database's"},
		"a learner":                      {func(s *Survivor) { s.Members[0].IsLearner = true }, "none of the database's"},
		"another revision":               {func(s *Survivor) { s.Info.Revision = 6 }, "revision 6, want 5"},
		"another cluster version":        {func(s *Survivor) { s.Info.ClusterVersion = "3.5.0" }, `"3.5.0" and "3.7.0", want "3.6.0" and "3.7.0"`},
		"another storage version":        {func(s *Survivor) { s.Info.StorageVersion = "" }, `"3.6.0" and "", want`},
	} {
		s := member(1, 10, 2, 10)
		s.Members = []snapshot.Member{{ID: 1, Name: "a"}}
		s.Info.Revision, s.Info.ClusterVersion, s.Info.StorageVersion = 5, "3.6.0", "3.7.0"
		c.change(s)
		err := (&RestorePlan{NewRevision: 5, ClusterVersion: "3.6.0", StorageVersion: "3.7.0"}).invariants(s)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
	}
}

// What has become of a member, others may know better.
func TestMembershipOfValues(t *testing.T) {
	t.Parallel()
	s, other := member(1, 10, 2, 10), member(2, 10, 2, 10)
	s.Members = []snapshot.Member{{ID: 1, Name: "a"}}
	require.Equal(t, InCluster, s.Membership([]*Survivor{s, other}))
	other.Removed = []uint64{1}
	require.Equal(t, Removed, s.Membership([]*Survivor{s, other}))
	s.Members[0].Name, other.Removed = "", nil
	require.Equal(t, NotStarted, s.Membership([]*Survivor{s, other}))
}

// A log goes onto another member's database where both have the same entry, and
// where that brings something.
func TestJoinOfValues(t *testing.T) {
	t.Parallel()
	lost := func() *Survivor { s := member(1, 12, 2, 8); s.DatabaseErr = errors.New("gone"); return s }
	lender := member(2, 8, 2, 8)
	joined := Join([]*Survivor{lost(), lender}, lender)
	require.NotNil(t, joined)
	require.Equal(t, lender, joined.Lender)
	for name, change := range map[string]func(s *Survivor){
		"another cluster":   func(s *Survivor) { s.Log.ClusterID = 8 },
		"another term":      func(s *Survivor) { s.Log.Stretches[0].terms = []termRun{{1, 1}} },
		"nothing new":       func(s *Survivor) { s.Log.Stretches[0].Last = 8 },
		"it begins behind":  func(s *Survivor) { s.Log.Stretches[0].First = 9 },
		"no metadata of it": func(s *Survivor) { s.Log.ClusterID = 0 },
	} {
		s := lost()
		change(s)
		require.Nil(t, Join([]*Survivor{s, lender}, lender), name)
	}
}

// The linked etcd reads its own version and those before.
func TestRefusesNewerVersions(t *testing.T) {
	t.Parallel()
	for version, refused := range map[string]bool{"3.4.0": false, "3.6.0": false, "3.7.0": false, "3.8.0": true, "4.0.0": true, "": false} {
		require.Equal(t, refused, refuseNewer(snapshot.Info{StorageVersion: version}) != nil, version)
		require.Equal(t, refused, refuseNewer(snapshot.Info{ClusterVersion: version}) != nil, version)
	}
}

// A log that cannot be read where it is needed is refused before anything is
// copied.
func TestReplayRefusesDamage(t *testing.T) {
	t.Parallel()
	s := member(1, 10, 2, 5)
	s.Log.End = "segment 2, offset 9"
	_, err := s.replay(context.Background(), ReplayOptions{})
	damaged := (*DamagedError)(nil)
	require.ErrorAs(t, err, &damaged)
	none := member(1, 10, 2, 5)
	none.Log = &Log{}
	_, err = none.replay(context.Background(), ReplayOptions{})
	require.ErrorIs(t, err, ErrNoLog)
}

// A group by name is a group, and leaves the user as it is.
func TestOwnerOfAGroupAlone(t *testing.T) {
	t.Parallel()
	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Skip("the group 0 has no name here")
	}
	owner, err := ParseOwner(":" + group.Name)
	require.NoError(t, err)
	require.Equal(t, &Owner{UID: -1, GID: 0}, owner)
}
