package lifeboat

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// EtcdHeader is the header of etcd's answers, as etcdctl prints it (etcd
// api/etcdserverpb/rpc.proto).
type EtcdHeader struct {
	ClusterID uint64 `json:"cluster_id,omitempty"`
	MemberID  uint64 `json:"member_id,omitempty"`
	Revision  int64  `json:"revision,omitempty"`
	RaftTerm  uint64 `json:"raft_term,omitempty"`
}

// header says who would have answered. Only a data dir knows: the ids stand in
// its log.
func (b *Backup) header() EtcdHeader {
	h := EtcdHeader{Revision: b.DB().Revision()}
	if r := b.Replay(); r != nil {
		l := r.Survivor.Log
		h.ClusterID, h.MemberID, h.RaftTerm = l.ClusterID, l.NodeID, l.Term
	}
	return h
}

// EndpointStatus is `etcdctl endpoint status -w json` under its field names, and
// what only a file can say besides.
type EndpointStatus struct {
	Endpoint string `json:"Endpoint"`
	Status   struct {
		Header           EtcdHeader `json:"header"`
		Version          string     `json:"version,omitempty"`
		DBSize           int64      `json:"dbSize"`
		RaftIndex        uint64     `json:"raftIndex"`
		RaftTerm         uint64     `json:"raftTerm,omitempty"`
		RaftAppliedIndex uint64     `json:"raftAppliedIndex"`
		Errors           []string   `json:"errors,omitempty"`
		DBSizeInUse      int64      `json:"dbSizeInUse"`
		IsLearner        bool       `json:"isLearner,omitempty"`
		StorageVersion   string     `json:"storageVersion,omitempty"`
	} `json:"Status"`
	Info   snapshot.Info  `json:"file"`
	Tail   []datadir.Span `json:"walTail,omitempty"`
	Hash   string         `json:"sha256Trailer,omitempty"` // of a snapshot: good, or not checked
	Commit uint64         `json:"commitIndex,omitempty"`   // newest on record

	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
}

// EndpointStatus is what a server over the database would say of itself.
func (b *Backup) EndpointStatus(ctx context.Context) (*EndpointStatus, error) {
	info, err := b.DB().Info(ctx)
	if err != nil {
		return nil, err
	}
	alarms, err := b.DB().Alarms()
	if err != nil {
		return nil, err
	}
	s := &EndpointStatus{Endpoint: b.Path(), Info: info, Evidence: b.Evidence()}
	s.Status.Header, s.Status.Version, s.Status.StorageVersion = b.header(), info.ClusterVersion, info.StorageVersion
	s.Status.DBSize, s.Status.DBSizeInUse = info.Size, info.SizeInUse
	s.Status.RaftIndex, s.Status.RaftAppliedIndex, s.Status.RaftTerm = info.RaftIndex, info.RaftIndex, info.RaftTerm
	for _, a := range alarms {
		s.Status.Errors = append(s.Status.Errors, fmt.Sprintf("alarm %s of member %x", a.Alarm, a.MemberID))
	}
	if b.Kind() == Snapshot {
		s.Hash = b.Trailer().String()
		if b.Trailer() == snapshot.TrailerMissing {
			s.Hash = "not checked"
		}
	}
	return s, b.addLog(s)
}

// addLog adds what the log of a data dir says.
func (b *Backup) addLog(s *EndpointStatus) error {
	r := b.Replay()
	if r == nil {
		return nil
	}
	// The sizes are those of the member's own file, not of the copy that the log
	// was put onto.
	s.Status.DBSize, s.Status.DBSizeInUse = r.Survivor.Info.Size, r.Survivor.Info.SizeInUse
	s.Status.RaftIndex, s.Tail, s.Commit = r.LogLast, r.Spans, r.Survivor.Log.Commit
	_, s.Status.RaftTerm = r.Survivor.Newest()
	members, _, err := b.DB().Members()
	if err != nil {
		return err
	}
	s.Status.IsLearner = slices.ContainsFunc(members, func(m snapshot.Member) bool { return m.ID == r.Survivor.Log.NodeID && m.IsLearner })
	return nil
}

// MemberList is `etcdctl member list -w json`, and what only a file can say.
type MemberList struct {
	Header  EtcdHeader        `json:"header"`
	Members []snapshot.Member `json:"members"`
	Removed []uint64          `json:"removed,omitempty"`

	// Zombies are members that the database has and that are none for etcd up to
	// 3.5: a server of 3.6 would take them for members again.
	Zombies []uint64 `json:"zombies,omitempty"`
	// Unpromoted are learners in the database that are voters for etcd up to 3.5.
	Unpromoted []uint64 `json:"unpromoted,omitempty"`
	// Doubt says why nobody looked for either; nil where somebody did, and for
	// anything but a data dir.
	Doubt error `json:"-"`
}

// MemberList lists the members of the cluster, also those that were removed.
func (b *Backup) MemberList() (*MemberList, error) {
	list := &MemberList{Header: b.header()}
	list.Header.Revision = 0
	var err error
	if list.Members, list.Removed, err = b.DB().Members(); err != nil {
		return nil, err
	}
	if r := b.Replay(); r != nil {
		if list.Doubt = r.Survivor.V2Err; list.Doubt == nil {
			list.Zombies, list.Unpromoted = r.Survivor.Differences(list.Members)
		}
	}
	return list, nil
}

// AlarmList is `etcdctl alarm list -w json`.
type AlarmList struct {
	Header EtcdHeader       `json:"header"`
	Alarms []snapshot.Alarm `json:"alarms"`

	// Names are of the members that there are, by id: an alarm of another is a
	// ghost, and stops writes all the same.
	Names map[uint64]string `json:"-"`
}

// AlarmList lists the alarms that are raised.
func (b *Backup) AlarmList() (*AlarmList, error) {
	list := &AlarmList{Header: b.header(), Names: map[uint64]string{}}
	alarms, err := b.DB().Alarms()
	if err != nil {
		return nil, err
	}
	list.Alarms = append([]snapshot.Alarm{}, alarms...)
	members, _, err := b.DB().Members()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		list.Names[m.ID] = m.Name
	}
	return list, nil
}

// EndpointHash is `etcdctl endpoint hashkv -w json` under its field names.
type EndpointHash struct {
	Endpoint string
	HashKV   struct {
		Header EtcdHeader `json:"header"`
		snapshot.Hash
	}
	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
}

// EndpointHash is a hash of the database as etcdctl prints it.
func (b *Backup) EndpointHash(hash snapshot.Hash) EndpointHash {
	h := EndpointHash{Endpoint: b.Path(), Evidence: b.Evidence()}
	h.HashKV.Header, h.HashKV.Hash = b.header(), hash
	return h
}

// KeyList is etcd's keys under etcdctl's field names, in order.
type KeyList struct {
	Header EtcdHeader `json:"header"`
	Keys   []EtcdKey  `json:"items"`
}

// EtcdKey is a key without its value: that is what get shows, decoded and on
// purpose.
type EtcdKey struct {
	Key            string `json:"key"`
	CreateRevision int64  `json:"create_revision"`
	ModRevision    int64  `json:"mod_revision"`
	Version        int64  `json:"version"`
	Lease          int64  `json:"lease,omitempty"`
	ValueSize      int    `json:"value_size"`
}

// KeyList lists the keys under a prefix as of a revision, 0 for the newest.
func (b *Backup) KeyList(ctx context.Context, rev int64, prefix string) (*KeyList, error) {
	list := &KeyList{Header: b.header(), Keys: []EtcdKey{}}
	for kv, err := range b.DB().At(ctx, rev, func(key []byte) bool { return bytes.HasPrefix(key, []byte(prefix)) }) {
		if err != nil {
			return nil, err
		}
		list.Keys = append(list.Keys, EtcdKey{string(kv.Key), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, len(kv.Value)})
	}
	slices.SortFunc(list.Keys, func(a, b EtcdKey) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}
