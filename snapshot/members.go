package snapshot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Member is a member of the cluster, as `etcdctl member list` shows it.
type Member struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"` // "" until the member has started once
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner,omitempty"`
}

// Alarm is a raised alarm, as `etcdctl alarm list` shows it.
type Alarm struct {
	MemberID uint64 `json:"memberID"`
	Alarm    string `json:"alarm"` // NOSPACE, CORRUPT, or a number that the linked etcd does not know
}

// Members returns the members and the ids of those that were removed, each in
// the order of the ids. In etcd 3.4 and 3.5 the truth about the members stands
// in the raft log and its snapshots: these buckets may name members that are
// gone, and learners that were promoted since.
func (db *DB) Members() (members []Member, removed []uint64, err error) {
	err = db.region.guarded(func() error {
		if err := db.each("members", func(key, value []byte) error {
			m, err := ParseMember(key, value)
			members = append(members, m)
			return err
		}); err != nil {
			return err
		}
		return db.each("members_removed", func(key, _ []byte) error {
			id, err := parseMemberID(key)
			removed = append(removed, id)
			return err
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading members: %w", err)
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(removed)
	return members, removed, nil
}

// ParseMember reads a member as etcd server/storage/schema/membership.go
// writes it: under the id in hex, as JSON.
func ParseMember(key, value []byte) (Member, error) {
	id, err := parseMemberID(key)
	if err != nil {
		return Member{}, err
	}
	var m struct {
		Name       string   `json:"name"`
		PeerURLs   []string `json:"peerURLs"`
		ClientURLs []string `json:"clientURLs"`
		IsLearner  bool     `json:"isLearner"`
	}
	if err := json.Unmarshal(value, &m); err != nil {
		return Member{}, damaged("member %x: %v", id, err)
	}
	return Member{ID: id, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner}, nil
}

func parseMemberID(key []byte) (uint64, error) {
	id, err := strconv.ParseUint(string(clip(key)), 16, 64)
	if err != nil {
		return 0, damaged("member id %q is no hex number", clip(key))
	}
	return id, nil
}

// Alarms returns the alarms that are raised. They survive a restore, under the
// ids of members that are gone.
func (db *DB) Alarms() (alarms []Alarm, err error) {
	err = db.region.guarded(func() error {
		return db.each("alarm", func(key, _ []byte) error {
			var a etcdserverpb.AlarmMember
			if err := proto.Unmarshal(key, &a); err != nil {
				return damaged("alarm %x is no AlarmMember", clip(key))
			}
			alarms = append(alarms, Alarm{MemberID: a.MemberID, Alarm: a.Alarm.String()})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading alarms: %w", err)
	}
	return alarms, nil
}

// each calls fn for every key of a bucket, which need not exist.
func (db *DB) each(bucket string, fn func(key, value []byte) error) error {
	b := db.tx.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.ForEach(fn)
}
