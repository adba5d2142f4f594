package datadir_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/raft/v3/raftpb"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// editDatabase changes a member's database through bbolt.
func editDatabase(t testing.TB, dir string, do func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(open(t, dir).Database(), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(do))
	require.NoError(t, db.Close())
}

// A member whose database is damaged is not a survivor, and says why; another one
// is chosen. What can be read around is read.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	whole := survey(t, harbour(t)["etcd-0"])
	for _, fault := range snapshottest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			dir := harbour(t)["etcd-1"]
			path := open(t, dir).Database()
			require.NoError(t, fault.Apply(path))
			s := survey(t, dir)
			best, err := datadir.Best([]*datadir.Survivor{s, whole})
			require.NoError(t, err)
			r, err := s.Replay(t.Context(), datadir.ReplayOptions{})
			if s.DatabaseErr != nil {
				require.Equal(t, whole, best)
				require.ErrorIs(t, err, s.DatabaseErr)
			}
			if err == nil {
				require.NotZero(t, r.Revision)
				require.NoError(t, r.File.Close())
			}
		})
	}
}

// A newer etcd's database may mean what the linked one would misread.
func TestNewer(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	editDatabase(t, dir, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("storageVersion"), []byte("3.99.0"))
	})
	_, err := open(t, dir).Replay(t.Context(), datadir.ReplayOptions{})
	require.ErrorIs(t, err, etcdproc.ErrNewer)
	require.ErrorContains(t, err, "3.99.0")
}

// The member list of etcd up to 3.5 stands in raft's snapshot file.
func TestV2Membership(t *testing.T) {
	t.Parallel()
	source := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	dir := t.TempDir()
	opts := one(dir, loopback(t))
	opts.NoBootCheck = true
	_, err := restore(t, source, opts)
	require.NoError(t, err)
	s := survey(t, dir)
	require.NoError(t, s.V2Err)
	id := s.Log.NodeID
	require.True(t, s.V2.Members[id], "etcdutl wrote the file for etcd 3.6")
	require.Equal(t, []uint64{id}, s.Voters())

	s.V2.Removed[7] = true
	zombies, unpromoted := s.Differences([]snapshot.Member{{ID: 7}, {ID: id, IsLearner: true}})
	require.Equal(t, []uint64{7}, zombies)
	require.Equal(t, []uint64{id}, unpromoted)

	// A member that a restore left in the database, and one that joined after
	// raft's snapshot was made.
	last, term := s.Newest()
	member := membership.ConfigChangeContext{Member: membership.Member{ID: 11, RaftAttributes: membership.RaftAttributes{PeerURLs: []string{"http://new:2380"}}}}
	extend(t, dir, last+1, term, last+1, confChange(t, raftpb.ConfChangeAddNode, 11, member))
	editDatabase(t, dir, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("members")).Put([]byte("9"), []byte(`{"id":9,"peerURLs":["http://gone:2380"],"name":"gone"}`))
	})
	s = survey(t, dir)
	require.Len(t, s.Members, 2)
	require.Equal(t, []uint64{id}, s.Voters(), "a zombie has no vote")
	r := replay(t, dir, datadir.ReplayOptions{})
	require.ElementsMatch(t, []uint64{id, 11}, r.Voters)
	all, _, err := database(t, r).Members()
	require.NoError(t, err)
	zombies, _ = s.Differences(all)
	require.Equal(t, []uint64{9}, zombies)

	require.NoError(t, os.WriteFile(s.V2.File, []byte("no snapshot"), 0o600))
	s = survey(t, dir)
	require.ErrorContains(t, s.V2Err, "reading raft's snapshot")
	require.Len(t, s.Voters(), 2, "nobody says otherwise")
}

// A full database: the history goes, keys, revisions and leases stay.
func TestRepair(t *testing.T) {
	t.Parallel()
	source := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	db := database(t, source)
	before := keys(t, db)
	for name, opts := range map[string]datadir.RepairOptions{
		"compact":           {Compact: true},
		"keep":              {Compact: true, Keep: 100, Defrag: true},
		"defrag":            {Defrag: true, Disarm: true},
		"all":               {Compact: true, Defrag: true, Disarm: true},
		"keep more than is": {Compact: true, Keep: 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := datadir.Repair(t.Context(), db, source.File, opts)
			require.NoError(t, err)
			defer r.File.Close()
			file, err := os.Open(procPath(r.File))
			require.NoError(t, err)
			repaired, err := snapshot.OpenFile(t.Context(), file)
			require.NoError(t, err)
			defer repaired.Close()
			require.Equal(t, before, keys(t, repaired))
			require.Equal(t, r.Before.Revision, r.After.Revision)
			if opts.Compact && opts.Keep < r.Before.Revision {
				require.Equal(t, r.Before.Revision-opts.Keep, r.After.CompactRevision)
				require.Less(t, r.After.Records, r.Before.Records)
			} else {
				require.Equal(t, r.Before.Records, r.After.Records)
				hash, err := repaired.HashKV(t.Context(), 0)
				require.NoError(t, err)
				require.Equal(t, harbourWhole, hash)
			}
			if opts.Defrag {
				require.Less(t, r.After.Size, r.Before.Size)
				require.Less(t, float64(r.After.FreePages), 0.05*float64(r.After.Pages))
			}
		})
	}
}

// Alarms are cleared where that was asked for, and nowhere else.
func TestDisarm(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	editDatabase(t, dir, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("alarm")).Put([]byte{0x08, 0x01, 0x10, 0x01}, nil) // member 1, NOSPACE
	})
	file, err := os.Open(open(t, dir).Database())
	require.NoError(t, err)
	db, err := snapshot.OpenFile(t.Context(), file)
	require.NoError(t, err)
	defer db.Close()
	for _, opts := range []datadir.RepairOptions{{Disarm: true}, {Disarm: true, Defrag: true}, {Defrag: true}, {Compact: true}} {
		r, err := datadir.Repair(t.Context(), db, file, opts)
		require.NoError(t, err)
		defer r.File.Close()
		require.Len(t, r.Alarms, 1, "it is said what was there")
		result, err := os.Open(procPath(r.File))
		require.NoError(t, err)
		repaired, err := snapshot.OpenFile(t.Context(), result)
		require.NoError(t, err)
		defer repaired.Close()
		left, err := repaired.Alarms()
		require.NoError(t, err)
		require.Equal(t, opts.Disarm, len(left) == 0, opts)
		require.Equal(t, keys(t, db), keys(t, repaired))
	}
}
