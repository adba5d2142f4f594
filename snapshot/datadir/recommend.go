package datadir

import (
	"fmt"
	"slices"
)

// Recommendation is the dir to build from, and what is known of it.
type Recommendation struct {
	Best     *Survivor // nil where no dir can be read
	Evidence Evidence
	Reasons  []string // for people
}

// Recommend picks the dir to build from among the surveys of one cluster's
// members. replays are those of them that can be read, replayed whole: a dir
// without one cannot be recommended.
//
// Errors: ErrOtherCluster.
func Recommend(survivors []*Survivor, replays map[*Survivor]*Replay) (Recommendation, error) {
	var r Recommendation
	if len(survivors) == 0 {
		return r, nil
	}
	best, err := Best(survivors)
	if err != nil {
		return r, err
	}
	because := func(format string, args ...any) { r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...)) }
	replay := replays[best]
	if best.Collected() == nil && replay == nil || best.DatabaseErr != nil { // Best takes such a dir only where there is no other
		because("no dir can be read: restore a snapshot with lifeboat etcd restore")
		return r, nil //nolint:nilerr // the reasons say it
	}
	r.Best = best
	if c := best.Collected(); c != nil {
		r.Evidence = best.evidence(survivors)
		because("it stands on host %s as %s, and its data was not compared: only its evidence is here", c.Host, c.Path)
	} else {
		r.Evidence = replay.Evidence(survivors)
	}
	for _, s := range survivors {
		if what := s.Membership(survivors); what != InCluster {
			because("%q: %s", s.Dir.Path, what)
		}
		if c := s.Collected(); c != nil && c.Summarised > 0 {
			because("the evidence of %q leaves out %d older changes of term, for which there was no room: whether an entry before %d was replaced is not provable",
				s.Dir.Path, c.Summarised, c.firstKnown())
		}
	}
	if joined := Join(AtHand(survivors), best); joined != nil {
		newest, _ := joined.Newest()
		because("the log of %q goes on to entry %d, and fits onto this database: lifeboat etcd rebuild %s --peer-dir %s puts the two together",
			joined.Dir.Path, newest, joined.Dir.Path, joined.Lender.Dir.Path)
	}
	index, term := best.Newest()
	if slices.ContainsFunc(r.Evidence.Doubts, func(d Doubt) bool { return d.Known }) {
		because("of what can be read, it has the newest entry (term %d, index %d)", term, index)
	} else {
		because("its last entry has the greatest term and, in it, the greatest index that can be read (term %d, index %d)", term, index)
	}
	if r.Evidence.Complete() {
		because("%d of %d voters are at hand, a majority: it has every write that was acknowledged", r.Evidence.Held, r.Evidence.Voters)
		return r, nil
	}
	because("%d of %d voters are at hand with a log whose end is known, no majority: a write that was acknowledged may be missing", r.Evidence.Held, r.Evidence.Voters)
	for _, d := range r.Evidence.Doubts {
		because("%s", d.Against(best))
	}
	return r, nil
}
