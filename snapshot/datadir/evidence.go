package datadir

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Evidence is what the dirs at hand prove of a survivor to build from.
type Evidence struct {
	Voters int `json:"voters"`       // of the cluster
	Held   int `json:"votersAtHand"` // whose log's end is known and stands no further than the survivor's

	// Doubts are the other dirs that hold, or may hold, what the survivor has not.
	Doubts []Doubt `json:"-"`
}

// MarshalJSON adds what follows from the numbers.
func (e Evidence) MarshalJSON() ([]byte, error) {
	type numbers Evidence
	return json.Marshal(struct {
		numbers
		Majority bool   `json:"majority"` // else acknowledged writes may be missing
		Meaning  string `json:"meaning"`
	}{numbers(e), e.Complete(), e.String()})
}

// Doubt is a dir that goes, or may go, beyond the survivor.
type Doubt struct {
	Survivor *Survivor
	Newest   uint64 // the newest entry that it is known to have held
	Known    bool   // it stands beyond the survivor's newest; else what follows it cannot be read
}

// Complete reports whether the survivor has every write that was acknowledged.
// Each is in the logs of a majority, so in one of those held; and whose log
// ends with a greater term, or the same and a greater index, has all committed
// entries of the other (the raft paper, 5.4.1).
func (e Evidence) Complete() bool { return e.Held > e.Voters/2 }

// String is the one sentence on what may be missing.
func (e Evidence) String() string {
	if e.Complete() {
		return fmt.Sprintf("%d of %d voters at hand, a majority: nothing that was acknowledged is missing", e.Held, e.Voters)
	}
	return fmt.Sprintf("%d of %d voters at hand, no majority: acknowledged writes may be missing", e.Held, e.Voters)
}

// Evidence weighs the dirs at hand, among them s, for the voters named.
func (s *Survivor) Evidence(all []*Survivor, voters []uint64) Evidence {
	e := Evidence{Voters: len(voters)}
	doubtful := map[uint64]bool{}
	for _, o := range all {
		known := o.isBeyond(s)
		if !known && o.EndKnown() {
			continue
		}
		doubtful[o.Log.NodeID] = true // also where another copy of its dir is whole
		if o != s {
			index, _ := o.reach()
			e.Doubts = append(e.Doubts, Doubt{Survivor: o, Newest: index, Known: known})
		}
	}
	held := map[uint64]bool{}
	for _, o := range all {
		if id := o.Log.NodeID; slices.Contains(voters, id) && !doubtful[id] {
			held[id] = true
		}
	}
	e.Held = len(held)
	return e
}

// EndKnown reports whether the newest entry that the member ever synced is
// known, be its database readable or not. Only then does the dir prove what the
// member did not hold.
func (s *Survivor) EndKnown() bool {
	last, _ := s.Log.Last()
	return s.Newborn || s.Log.EndKnown() && (s.DatabaseErr != nil || max(last, s.Log.Behind, s.Log.Snapshot) >= s.Info.RaftIndex)
}

// Damage says what of the dir cannot be read, "" for nothing. A torn last
// record is no damage.
func (s *Survivor) Damage() string {
	last, _ := s.Log.Last()
	_, hole := s.Log.beyond(s.Info.RaftIndex)
	switch l := s.Log; {
	case s.Newborn:
		return ""
	case s.DatabaseErr != nil && l.End != "":
		return fmt.Sprintf("%v; and the log is damaged after entry %d: %s", s.DatabaseErr, last, l.End)
	case s.DatabaseErr != nil:
		return s.DatabaseErr.Error()
	case l.Segments == 0:
		return "there is no write-ahead log"
	case hole != "":
		return "log damaged " + hole
	case l.Leftover > 0 && !l.Torn:
		return fmt.Sprintf("log doubtful after entry %d: %d bytes follow that are no record", last, l.Leftover)
	}
	return ""
}

// reach is the newest entry that the dir is known to have held, whether it can
// be used or not.
func (s *Survivor) reach() (index, term uint64) {
	index, term = s.Newest()
	lastIndex, lastTerm := s.Log.Last()
	if after(lastIndex, lastTerm, index, term) {
		index, term = lastIndex, lastTerm
	}
	if after(s.Log.Behind, s.Log.BehindTerm, index, term) {
		index, term = s.Log.Behind, s.Log.BehindTerm
	}
	return max(index, s.Proven()), term
}

// isBeyond reports whether s held entries that of, as far as it can be used,
// has not.
func (s *Survivor) isBeyond(of *Survivor) bool {
	index, term := of.Newest()
	own, ownTerm := s.reach()
	return s.Proven() > index || after(own, ownTerm, index, term)
}

// after is raft's order of logs by their last entries. A database of etcd 3.4
// does not know its term.
func after(index, term, ofIndex, ofTerm uint64) bool {
	if term != ofTerm && term != 0 && ofTerm != 0 {
		return term > ofTerm
	}
	return index > ofIndex
}

// Reason says why a survivor is not the one to build from.
type Reason string

// The reasons, from the worst to the least.
const (
	Empty      Reason = "its member had not started yet: there is nothing in it"
	Unreadable Reason = "its database cannot be read"
	Replaced   Reason = "another dir has it on record that entries of its log were replaced"
	Older      Reason = "its log, as far as it can be read, is not the newest"
)

// Against says why Best of all does not take s.
func (s *Survivor) Against(all []*Survivor) Reason {
	switch {
	case s.Newborn:
		return Empty
	case s.DatabaseErr != nil:
		return Unreadable
	case slices.ContainsFunc(all, func(o *Survivor) bool { return o.contradicts(s) }):
		return Replaced
	}
	return Older
}
