package datadir

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/membershippb"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"google.golang.org/protobuf/encoding/protowire"
)

// requestV2 is etcdserverpb.Request, which the linked etcd does not have any
// more: up to 3.5, members told each other their names and the cluster version
// by it (etcd 3.5 server/etcdserver/server.go publish, updateClusterVersionV2).
type requestV2 struct{ method, path, value string }

// The fields of etcdserverpb.Request (etcd 3.5 api/etcdserverpb/etcdserver.proto).
const (
	v2Method = 2
	v2Path   = 3
	v2Value  = 4
)

// parseV2 reads an entry's data as a v2 request; false when it is none. An
// InternalRaftRequest has messages in these fields, and no message begins with
// a slash.
func parseV2(data []byte) (r requestV2, ok bool) {
	for len(data) > 0 {
		field, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return r, false
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(field, kind, data); n < 0 {
			return r, false
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data)
			switch field {
			case v2Method:
				if inner, ok := parseV2(value); ok { // InternalRaftRequest.V2 of etcd 3.0 to 3.5
					return inner, true
				}
				r.method = string(value)
			case v2Path:
				r.path = string(value)
			case v2Value:
				r.value = string(value)
			}
		}
		data = data[n:]
	}
	switch r.method {
	case "PUT", "POST", "GET", "QGET", "DELETE", "SYNC":
		return r, r.method == "SYNC" || strings.HasPrefix(r.path, "/")
	}
	return r, false
}

var memberAttributes = regexp.MustCompile(`^/0/members/[[:xdigit:]]{1,16}/attributes$`)

// request is what etcd 3.6 makes of a v2 request (server/etcdserver/apply_v2.go
// v2ToV3Request); nil for those of the old v2 keyspace, which the database
// never held.
func (r requestV2) request() (*pb.InternalRaftRequest, error) {
	switch {
	case r.method == "PUT" && memberAttributes.MatchString(r.path):
		id, err := types.IDFromString(path.Base(path.Dir(r.path)))
		if err != nil {
			return nil, err
		}
		var a membership.Attributes
		if err := json.Unmarshal([]byte(r.value), &a); err != nil {
			return nil, fmt.Errorf("decoding the attributes of member %s: %w", id, err)
		}
		return &pb.InternalRaftRequest{
			Header: &pb.RequestHeader{},
			ClusterMemberAttrSet: &membershippb.ClusterMemberAttrSetRequest{
				Member_ID:        uint64(id),
				MemberAttributes: &membershippb.Attributes{Name: a.Name, ClientUrls: a.ClientURLs},
			},
		}, nil
	case r.method == "PUT" && r.path == "/0/version":
		return &pb.InternalRaftRequest{
			Header:            &pb.RequestHeader{},
			ClusterVersionSet: &membershippb.ClusterVersionSetRequest{Ver: r.value},
		}, nil
	}
	return nil, nil
}
