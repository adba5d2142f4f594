package lifeboat_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat"
)

// What a server over the database would say of itself: of a data dir with the ids
// and the end of its log, and its file's sizes; of anything else what the file has.
func TestEndpointStatus(t *testing.T) {
	t.Parallel()
	status := func(b *lifeboat.Backup) *lifeboat.EndpointStatus {
		s, err := b.EndpointStatus(t.Context())
		require.NoError(t, err)
		return s
	}
	shown := func(s *lifeboat.EndpointStatus) string {
		var page bytes.Buffer
		require.NoError(t, s.WriteText(&page))
		return page.String()
	}
	s := status(open(t, snapshotFile(t), lifeboat.Options{}))
	require.Equal(t, lifeboat.EtcdHeader{Revision: 1485}, s.Status.Header)
	require.Equal(t, []uint64{1611, 1611, 2}, []uint64{s.Status.RaftIndex, s.Status.RaftAppliedIndex, s.Status.RaftTerm})
	require.Equal(t, []int64{2244608, 2228224}, []int64{s.Status.DBSize, s.Status.DBSizeInUse})
	require.Equal(t, []string{"3.7.0", "3.7.0", "good"}, []string{s.Status.Version, s.Status.StorageVersion, s.Hash})
	require.Nil(t, s.Evidence)
	page := shown(s)
	require.Contains(t, page, "revision 1485, nothing was compacted; 621 keys in 1484 records, 17 of them deletions; 11 leases\n")
	require.Regexp(t, "2.2 MB +2.2 MB +1% +false +2 +1611 +1611 +-\n", page)
	require.Contains(t, page, "sha256 trailer: good")
	require.NotContains(t, page, "authentication")

	bare := open(t, edited(t, func(tx *bolt.Tx) error {
		// A member that there is, and a ghost.
		return errors.Join(compacted(1450)(tx), tx.Bucket([]byte("auth")).Put([]byte("authEnabled"), []byte{1}),
			tx.Bucket([]byte("alarm")).Put([]byte("\x08\xcc\xd2\xaf\xf9\x95\xb2\xbf\xd0\x10\x10\x01"), nil), tx.Bucket([]byte("alarm")).Put([]byte("\x08\x05\x10\x02"), nil))
	}), lifeboat.Options{})
	s = status(bare)
	require.Empty(t, s.Hash, "it has no trailer to check")
	require.Len(t, s.Status.Errors, 2)
	page = shown(s)
	require.Contains(t, page, "compacted to 1450;")
	require.Contains(t, page, "authentication is enabled")
	inspected, err := bare.Inspect(t.Context())
	require.NoError(t, err)
	var report bytes.Buffer
	require.NoError(t, inspected.WriteText(&report))
	require.Contains(t, report.String(), "authentication is enabled: ")
	require.Contains(t, page, "alarm CORRUPT of member 5")

	alarms, err := bare.AlarmList()
	require.NoError(t, err)
	var lines bytes.Buffer
	require.NoError(t, alarms.WriteText(&lines))
	require.Contains(t, lines.String(), "10a0fd915f2be94c   master-0   NOSPACE   -\n")
	require.Contains(t, lines.String(), "5                  -          CORRUPT   a ghost: there is no such member")

	member := open(t, memberDir(t, "etcd-0"), lifeboat.Options{})
	s = status(member)
	header := lifeboat.EtcdHeader{ClusterID: 3345954121298900383, MemberID: 1198236301689350476, Revision: 1486, RaftTerm: 2}
	require.Equal(t, header, s.Status.Header)
	require.Equal(t, []uint64{1612, 1612, 2, 1611}, []uint64{s.Status.RaftIndex, s.Status.RaftAppliedIndex, s.Status.RaftTerm, s.Commit})
	require.Equal(t, []int64{2277376, 2260992}, []int64{s.Status.DBSize, s.Status.DBSizeInUse}, "of the member's own file")
	require.False(t, s.Status.IsLearner)
	require.NotNil(t, s.Evidence)
	page = shown(s)
	require.Contains(t, page, "10a0fd915f2be94c")
	require.Contains(t, page, "entry 1612 of the write-ahead log: not proven committed")
	hash, err := member.DB().HashKV(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, header, member.EndpointHash(hash).HashKV.Header)
	require.Equal(t, uint32(300550119), member.EndpointHash(hash).HashKV.Hash.Hash)

	none, err := member.AlarmList()
	require.NoError(t, err)
	require.NotNil(t, none.Alarms, "etcdctl prints an empty list")
	require.Empty(t, none.Alarms)
	members, err := member.MemberList()
	require.NoError(t, err)
	header.Revision = 0
	require.Equal(t, header, members.Header)
	require.Empty(t, members.Zombies)
	require.NoError(t, members.Doubt)
	lines.Reset()
	members.Members[1].Name, members.Members[2].IsLearner, members.Removed = "", true, []uint64{10}
	require.NoError(t, members.WriteText(&lines))
	require.Contains(t, lines.String(), "10a0fd915f2be94c   started     master-0   http://127.0.0.1:12380   http://127.0.0.1:12370   false\n")
	require.Contains(t, lines.String(), "2ce26d0987a0445e   unstarted   -          http://127.0.0.1:12381   http://127.0.0.1:12371   false\n")
	require.Contains(t, lines.String(), "http://127.0.0.1:12372   true\n")
	require.Contains(t, lines.String(), "a                  removed     -          -                        -                        -\n")
}

// Keys are those under a prefix, in order, as of a revision.
func TestKeyList(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{})
	const prefix = "/registry/configmaps/infra-production/"
	list, err := b.KeyList(t.Context(), 0, prefix)
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(list.Keys, func(a, b lifeboat.EtcdKey) int { return strings.Compare(a.Key, b.Key) }))
	at := func(list *lifeboat.KeyList, name string) int {
		return slices.IndexFunc(list.Keys, func(k lifeboat.EtcdKey) bool { return k.Key == prefix+name })
	}
	flip := list.Keys[at(list, "flip")]
	require.Equal(t, []int64{1216, 1217, 2}, []int64{flip.CreateRevision, flip.ModRevision, flip.Version})
	require.Positive(t, flip.ValueSize)
	require.Equal(t, -1, at(list, "gone"))
	require.Equal(t, lifeboat.EtcdHeader{Revision: 1485}, list.Header)
	for _, k := range list.Keys {
		require.True(t, strings.HasPrefix(k.Key, prefix))
	}
	before, err := b.KeyList(t.Context(), 1212, prefix)
	require.NoError(t, err)
	require.Equal(t, -1, at(before, "flip"), "it was deleted then")
	none, err := b.KeyList(t.Context(), 0, "/none")
	require.NoError(t, err)
	require.NotNil(t, none.Keys)
	require.Empty(t, none.Keys)

	var page bytes.Buffer
	leases, err := b.KeyList(t.Context(), 0, "/registry/events/infra-production/")
	require.NoError(t, err)
	require.NoError(t, leases.WriteText(&page))
	require.Regexp(t, `(?m)^/registry/events/infra-production/\S+ +\d+ +\d+ +\d+ +[0-9a-f]{8,} +\d+$`, page.String())
	page.Reset()
	require.NoError(t, list.WriteText(&page))
	require.Regexp(t, `(?m)^/registry/configmaps/infra-production/flip +1216 +1217 +2 +- +\d+$`, page.String())
}
