package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// FuzzKeyValue holds decodeKeyValue against etcd's own type.
func FuzzKeyValue(f *testing.F) {
	for _, kv := range []*mvccpb.KeyValue{
		{},
		{Key: []byte("/registry/pods/default/web")},
		{Key: []byte("k"), CreateRevision: 2, ModRevision: 9, Version: 3, Value: []byte("k8s\x00"), Lease: -1},
	} {
		record, err := proto.Marshal(kv)
		require.NoError(f, err)
		f.Add(record)
		f.Add(append(record, record...))
		f.Add(record[:len(record)/2])
	}
	f.Add([]byte("\x38\x01\x0a\x01k\x13\x14"))
	f.Fuzz(func(t *testing.T, record []byte) {
		var want mvccpb.KeyValue
		wantErr := proto.Unmarshal(record, &want)
		got, err := decodeKeyValue(record)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		if err != nil {
			return
		}
		require.Equal(t, string(want.Key), string(got.Key))
		require.Equal(t, string(want.Value), string(got.Value))
		require.Equal(t,
			[]int64{want.CreateRevision, want.ModRevision, want.Version, want.Lease},
			[]int64{got.CreateRevision, got.ModRevision, got.Version, got.Lease})
		// What etcd writes has the key first, and once.
		written, err := proto.Marshal(&want)
		require.NoError(t, err)
		key, err := decodeKey(written)
		require.NoError(t, err)
		require.Equal(t, string(want.Key), string(key))
	})
}

// FuzzRevisionKey holds parseRevision against etcd, which panics where it
// returns an error.
func FuzzRevisionKey(f *testing.F) {
	for _, key := range []string{
		"", "\x00\x00\x00\x00\x00\x00\x05\xcd_\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x05\xcd_\x00\x00\x00\x00\x00\x00\x00\x01t",
		"\x80\x00\x00\x00\x00\x00\x00\x00_\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x01-\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		f.Add([]byte(key))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		got, err := parseRevision(key)
		// etcd takes any 18th byte but knows one only.
		if len(key) == tombstoneSize && key[revisionSize] != 't' {
			require.Error(t, err)
			return
		}
		if err != nil {
			require.Panics(t, func() { mvcc.BytesToBucketKey(key) })
			return
		}
		want := mvcc.BytesToRev(key)
		require.Equal(t, want.Main, got.main)
		require.Equal(t, want.Sub, got.sub)
		require.Equal(t, mvcc.IsTombstone(key), got.tombstone)
		if !got.tombstone {
			require.Equal(t, key, appendRevision(nil, got.main, got.sub))
		}
	})
}

// TestLockHolder reads lines of /proc/locks as Linux 6.1 prints them.
func TestLockHolder(t *testing.T) {
	t.Parallel()
	locks := []byte("1: POSIX  ADVISORY  READ 910 fd:01:12 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 4711 fd:01:345 0 EOF\n" +
		"2: -> FLOCK  ADVISORY  WRITE 4712 fd:01:345 0 EOF\n" +
		"3: FLOCK  ADVISORY  READ 99 00:2a:77 0 EOF\n" +
		"4: FLOCK  ADVISORY  WRITE -1 00:2a:78 0 EOF\n")
	require.Equal(t, 4711, lockHolder(locks, "fd:01:345"))
	require.Zero(t, lockHolder(locks, "fd:01:34"))
	require.Zero(t, lockHolder(locks, "00:2a:77"), "a reader keeps nobody out")
	require.Zero(t, lockHolder(locks, "00:2a:78"), "a holder in another pid namespace")
	require.Zero(t, lockHolder(nil, "fd:01:345"))
}
