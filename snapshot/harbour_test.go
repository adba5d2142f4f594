package snapshot_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// answer reads what etcdctl said of the member that the snapshot was taken from.
func answer(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile("../testdata/harbour/" + file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// TestHarbourStatus holds Info against `etcdctl endpoint status`.
func TestHarbourStatus(t *testing.T) {
	t.Parallel()
	var want []struct {
		Status struct {
			Header           struct{ Revision int64 }
			Version          string
			DBSize           int64
			DBSizeInUse      int64
			RaftAppliedIndex uint64
			RaftTerm         uint64
			StorageVersion   string
		}
	}
	answer(t, "status.json", &want)
	status := want[0].Status

	info, err := open(t, harbour(t)).Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, status.DBSize, info.Size)
	require.Equal(t, status.Header.Revision, info.Revision)
	require.Equal(t, status.RaftAppliedIndex, info.RaftIndex)
	require.Equal(t, status.RaftTerm, info.RaftTerm)
	require.Equal(t, status.StorageVersion, info.StorageVersion)
	require.Equal(t, "3.7.0", info.ClusterVersion)

	// The running member still held one page back that its last commit had
	// freed; TestSizeInUse holds the figure against etcd on the same file.
	require.Equal(t, status.DBSizeInUse-info.PageSize, info.SizeInUse)

	require.EqualValues(t, 621, info.LiveKeys)
	require.EqualValues(t, 1484, info.Records)
	require.EqualValues(t, 17, info.Tombstones)
	require.EqualValues(t, 11, info.Leases)
	require.EqualValues(t, -1, info.CompactRevision)
	require.Equal(t, info.Size+snapshot.TrailerSize, info.FileSize)
	require.False(t, info.AuthEnabled)
	require.Empty(t, info.BadMeta)
}

// TestHarbourHash holds HashKV against `etcdctl endpoint hashkv`.
func TestHarbourHash(t *testing.T) {
	t.Parallel()
	var want []struct{ HashKV snapshot.Hash }
	answer(t, "hashkv.json", &want)
	db := open(t, harbour(t))
	for _, rev := range []int64{0, 1485} {
		got, err := db.HashKV(t.Context(), rev)
		require.NoError(t, err)
		require.Equal(t, want[0].HashKV, got)
	}
	older, err := db.HashKV(t.Context(), 1484)
	require.NoError(t, err)
	require.NotEqual(t, want[0].HashKV.Hash, older.Hash)
}

// TestHarbourMembers holds Members against `etcdctl member list`.
func TestHarbourMembers(t *testing.T) {
	t.Parallel()
	var want struct{ Members []snapshot.Member }
	answer(t, "members.json", &want)
	db := open(t, harbour(t))
	members, removed, err := db.Members()
	require.NoError(t, err)
	require.Equal(t, want.Members, members)
	require.Empty(t, removed)
	alarms, err := db.Alarms()
	require.NoError(t, err)
	require.Empty(t, alarms)
}

// TestHarbourHistory reads the past of two ConfigMaps: flip was created three
// times and lives, gone was deleted for good.
func TestHarbourHistory(t *testing.T) {
	t.Parallel()
	db := open(t, harbour(t))
	named := func(rev int64, name string) (found []snapshot.KeyValue) {
		for kv, err := range db.At(t.Context(), rev, func(key []byte) bool { return strings.HasSuffix(string(key), name) }) {
			require.NoError(t, err)
			found = append(found, kv)
		}
		return found
	}
	flip := named(0, "/configmaps/infra-production/flip")
	require.Len(t, flip, 1)
	require.Empty(t, named(0, "/configmaps/infra-production/gone"))

	lives, alive := 0, false
	for rev := int64(1); rev <= db.Revision(); rev++ {
		now := len(named(rev, "/configmaps/infra-production/flip")) > 0
		if now && !alive {
			lives++
		}
		alive = now
	}
	require.Equal(t, 3, lives)
	require.Equal(t, flip[0].CreateRevision, flip[0].ModRevision-flip[0].Version+1, "the versions start anew with each life")
}

// TestHarbourIsSound: Check has nothing to say.
func TestHarbourIsSound(t *testing.T) {
	t.Parallel()
	problems, err := open(t, harbour(t)).Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)
}
