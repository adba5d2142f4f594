package datadir

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func wrap(field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), value)
}

// FuzzV2: no bytes make parseV2 or request panic, and no request of etcd 3.6
// and later is taken for an old one.
func FuzzV2(f *testing.F) {
	put := append(wrap(2, []byte("PUT")), append(wrap(3, []byte("/0/members/1/attributes")), wrap(4, []byte(`{"name":"a"}`))...)...)
	f.Add(put, "key")
	f.Add(wrap(2, put), "/0/members/1/attributes")
	f.Add([]byte{}, "PUT")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		if r, ok := parseV2(data); ok {
			_, _ = r.request() // all that counts is that it returns
		}
		for _, r := range []*pb.InternalRaftRequest{
			{ID: 1, Put: &pb.PutRequest{Key: []byte(key), Value: data}},
			{ID: 1, Range: &pb.RangeRequest{Key: []byte(key), RangeEnd: data}},
			{ID: 1, DeleteRange: &pb.DeleteRangeRequest{Key: data, RangeEnd: []byte(key)}},
		} {
			v3, err := proto.Marshal(r)
			require.NoError(t, err)
			_, old := parseV2(v3)
			require.False(t, old)
		}
	})
}

func TestV2(t *testing.T) {
	t.Parallel()
	put := append(wrap(2, []byte("PUT")), append(wrap(3, []byte("/0/members/1a/attributes")), wrap(4, []byte(`{"name":"a","clientURLs":["http://c"]}`))...)...)
	for _, data := range [][]byte{put, wrap(2, put)} {
		r, ok := parseV2(data)
		require.True(t, ok)
		request, err := r.request()
		require.NoError(t, err)
		require.EqualValues(t, 0x1a, request.ClusterMemberAttrSet.Member_ID)
		require.Equal(t, "a", request.ClusterMemberAttrSet.MemberAttributes.Name)
	}
	_, err := requestV2{"PUT", "/0/members/1a/attributes", "no JSON"}.request()
	require.ErrorContains(t, err, "member 1a")
}
