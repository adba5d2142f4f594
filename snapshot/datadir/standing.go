package datadir

import (
	"errors"
	"slices"
)

// Membership is what has become of a member, as far as it matters to whom its
// data dir is given.
type Membership string

// What the dirs at hand say of a member.
const (
	InCluster  Membership = ""
	Removed    Membership = "this member was removed from the cluster"
	NotStarted Membership = "this member has not started yet"
)

// ErrNotStarted says that a dir has nothing in it: its member was killed before
// it had started.
var ErrNotStarted = errors.New("this member has not started yet: its database is empty or missing, and there is no write-ahead log")

// Membership asks all dirs at hand what has become of the member of s. Its own
// database need not know that it was removed.
func (s *Survivor) Membership(all []*Survivor) Membership {
	if s.Newborn {
		return NotStarted
	}
	named, known := false, false
	for _, o := range append([]*Survivor{s}, all...) {
		if slices.Contains(o.Removed, s.Log.NodeID) || o.V2.Removed[s.Log.NodeID] {
			return Removed
		}
		for _, m := range o.Members {
			known = known || m.ID == s.Log.NodeID
			named = named || m.ID == s.Log.NodeID && m.Name != ""
		}
	}
	if known && !named {
		return NotStarted
	}
	return InCluster
}
