package datadir

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // etcd's own ids
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Verdict says whether two halves are known to be of one thing.
type Verdict string

// What cannot be proved is said; what is disproved is refused.
const (
	Proved      Verdict = "proved"
	NotProvable Verdict = "not provable"
	Disproved   Verdict = "disproved"
)

// Belonging says whether a log continues a database.
type Belonging struct {
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
}

// ErrForeignLog says that a log is not of the database that it was to be put
// onto: it is another cluster's, or of another life of this one.
var ErrForeignLog = errors.New("the write-ahead log is not of this database")

// belongs weighs what the log and the database tell of each other. Entries of
// another cluster have indexes and terms like any other, so that they would be
// replayed without an error.
func (s *Survivor) belongs(ctx context.Context) (Belonging, error) {
	ids := s.sameMembers()
	if ids.Verdict == Disproved {
		return ids, nil
	}
	history, err := s.sameHistory(ctx)
	if err != nil || history.Verdict == Disproved || ids.Verdict == NotProvable {
		if history.Verdict == NotProvable {
			history.Reason = ids.Reason + ", and " + history.Reason
		}
		return history, err
	}
	return ids, nil
}

// sameMembers compares the ids in the log with those in the database. They are
// hashes of peer URLs and the cluster's token (etcd
// server/etcdserver/api/membership): those of two clusters are the same only
// where these are.
func (s *Survivor) sameMembers() Belonging {
	log, known := s.Log, s.known()
	switch {
	case log.ClusterID == 0:
		return Belonging{NotProvable, "the log's metadata cannot be read"}
	case len(known) == 0:
		return Belonging{NotProvable, "the database names no member"}
	}
	founded, all := founders(known, log.ClusterID)
	shared := slices.ContainsFunc(known, func(id uint64) bool { _, ok := log.named[id]; return ok })
	switch {
	case founded:
		return Belonging{Proved, fmt.Sprintf("the id of the log's cluster, %x, is that of members in the database", log.ClusterID)}
	case shared || !all:
		return Belonging{NotProvable, fmt.Sprintf("the members in the database do not make up the id of the log's cluster, %x", log.ClusterID)}
	}
	return Belonging{Disproved, fmt.Sprintf("the log is of member %x in cluster %x; the members that the database knows, %s, are none of this cluster's",
		log.NodeID, log.ClusterID, hexIDs(known))}
}

// known are the members that the database, and raft's snapshot beside it, have
// or had.
func (s *Survivor) known() []uint64 {
	ids := map[uint64]bool{}
	for _, m := range s.Members {
		ids[m.ID] = true
	}
	for _, id := range s.Removed {
		ids[id] = true
	}
	maps.Copy(ids, s.V2.Members)
	maps.Copy(ids, s.V2.Removed)
	return slices.Sorted(maps.Keys(ids))
}

// maxFounders bounds the sets of members that are tried.
const maxFounders = 1 << 18

// founders looks for the members that a cluster began with: its id is a hash of
// theirs (etcd server/etcdserver/api/membership/cluster.go genID). all says that
// no set was left out.
func founders(known []uint64, cluster uint64) (found, all bool) {
	tried, ids := 0, make([]byte, 0, 8*len(known))
	var try func(from int) bool
	try = func(from int) bool {
		for i := from; i < len(known) && tried < maxFounders; i++ {
			tried++
			ids = binary.BigEndian.AppendUint64(ids, known[i])
			sum := sha1.Sum(ids) //nolint:gosec // see above
			if binary.BigEndian.Uint64(sum[:8]) == cluster || try(i+1) {
				return true
			}
			ids = ids[:len(ids)-8]
		}
		return false
	}
	found = try(0)
	return found, tried < maxFounders
}

func hexIDs(ids []uint64) string {
	const shown = 9
	text := ""
	for i, id := range ids {
		if i == shown {
			return fmt.Sprintf("%s and %d more", text, len(ids)-shown)
		}
		if i > 0 {
			text += ", "
		}
		text += strconv.FormatUint(id, 16)
	}
	return text
}

// sameHistory compares what the log says of the database's last entries with
// what the database holds.
func (s *Survivor) sameHistory(ctx context.Context) (Belonging, error) {
	marked := s.sameMark()
	if marked.Verdict == Disproved {
		return marked, nil
	}
	w, err := s.written(ctx)
	if err != nil {
		return Belonging{}, err
	}
	content := s.judge(w)
	switch {
	case content.Verdict != NotProvable:
		return content, nil
	case s.Info.RaftIndex < s.Log.Snapshot && marked.Verdict != Proved && s.Log.at(s.Info.RaftIndex+1) != nil:
		return Belonging{Disproved, fmt.Sprintf("the database ends at entry %d; the log has it on record that its own went to entry %d", s.Info.RaftIndex, s.Log.Snapshot)}, nil
	case marked.Verdict == Proved:
		return marked, nil
	}
	return content, nil
}

// early is the index below which the same index and term say nothing: every
// cluster begins with the like.
const early = 64

// sameMark compares the term of the entry that the database applied last with
// the log's.
func (s *Survivor) sameMark() Belonging {
	index, term := s.Info.RaftIndex, s.Info.RaftTerm
	unknown := Belonging{NotProvable, fmt.Sprintf("the log does not tell the term of entry %d", index)}
	if term == 0 || index == 0 {
		return unknown
	}
	own := uint64(0)
	if stretch := s.Log.at(index); stretch != nil && s.Log.whole() {
		own, _ = stretch.Term(index)
	}
	for _, mark := range s.Log.snapshots {
		if mark.index == index {
			own = mark.term
		}
	}
	switch {
	case own == 0:
		return unknown
	case own != term:
		return Belonging{Disproved, fmt.Sprintf("entry %d is of term %d in the log; the database applied one of term %d", index, own, term)}
	case index < early:
		return Belonging{NotProvable, fmt.Sprintf("all logs begin with entries like its entry %d", index)}
	}
	return Belonging{Proved, fmt.Sprintf("entry %d is of term %d in both", index, term)}
}

// whole reports whether nothing of the log is damaged: what cannot be read may
// have replaced entries.
func (l *Log) whole() bool { return l.End == "" && l.Behind == 0 && len(l.Stretches) <= 1 }

// ErrOtherCluster says that dirs of several clusters were given as one's, or of
// several lives of one cluster that was restored in between.
var ErrOtherCluster = errors.New("the data dirs belong to different clusters")

// otherThan says why two dirs cannot be of one cluster, "" where nothing speaks
// against it. A cluster that was restored under the same token and peer URLs has
// the ids that it had before.
func (s *Survivor) otherThan(o *Survivor) string {
	if a, b := s.Log.ClusterID, o.Log.ClusterID; a != b && a != 0 && b != 0 {
		return fmt.Sprintf("cluster %x and cluster %x,", a, b)
	}
	index := min(s.Proven(), o.Proven())
	mine, theirs := s.Log.at(index), o.Log.at(index)
	if mine != nil && theirs != nil && s.Log.whole() && o.Log.whole() {
		a, _ := mine.Term(index)
		b, _ := theirs.Term(index)
		if a != b {
			return fmt.Sprintf("committed entry %d of term %d and of term %d,", index, a, b)
		}
	}
	return s.otherRecords(o)
}

const (
	// enoughRecords is how many records, at revisions that both databases have,
	// tell two histories from two copies of one that is damaged in places.
	enoughRecords, comparedRecords = 4, 64

	// farAhead is by how much a revision is greater after a restore that raised
	// it; members of one cluster that lost writes differ by less.
	farAhead = 1_000_000
)

// otherRecords compares what two databases have at the newest revisions that
// both know. A database that missed a write has the later ones at other
// revisions, so they are looked for at all; compare names what differs.
func (s *Survivor) otherRecords(o *Survivor) string {
	if s.DatabaseErr != nil || o.DatabaseErr != nil {
		return ""
	}
	older, newer := s, o
	if older.Info.RaftIndex > newer.Info.RaftIndex {
		older, newer = newer, older
	}
	if older.Info.Revision > newer.Info.Revision+farAhead {
		return fmt.Sprintf("revision %d at entry %d, and revision %d at entry %d,",
			older.Info.Revision, older.Info.RaftIndex, newer.Info.Revision, newer.Info.RaftIndex)
	}
	var both []revision
	for rev := range s.newest {
		if _, ok := o.newest[rev]; ok {
			both = append(both, rev)
		}
	}
	slices.SortFunc(both, func(a, b revision) int { return cmp.Or(cmp.Compare(b.main, a.main), cmp.Compare(b.sub, a.sub)) })
	both = both[:min(len(both), comparedRecords)]
	mine, theirs := s.prints(), o.prints()
	for _, rev := range both {
		if theirs[s.newest[rev]] || mine[o.newest[rev]] {
			return ""
		}
	}
	if len(both) < enoughRecords {
		return ""
	}
	return fmt.Sprintf("different records at revision %d and before,", both[0].main)
}
