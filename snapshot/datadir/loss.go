package datadir

import (
	"fmt"
	"strings"
)

// LossError says that a replay may lack writes that were acknowledged: another
// of the dirs at hand held, or may have held, more.
type LossError struct {
	Evidence Evidence
	Than     *Survivor // the one that was replayed
}

func (e *LossError) Error() string { return e.Doubts() + ": acknowledged writes may be lost" }

// Doubts names each dir that may hold more, for people.
func (e *LossError) Doubts() string {
	var doubts []string
	for _, d := range e.Evidence.Doubts {
		doubts = append(doubts, d.Against(e.Than))
	}
	return strings.Join(doubts, "; ")
}

// Against says what of the dir the survivor may not have.
func (d Doubt) Against(than *Survivor) string {
	newest, _ := than.Newest()
	if d.Known {
		return fmt.Sprintf("%q went to entry %d, beyond entry %d, the newest one that can be had of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
	}
	return fmt.Sprintf("what %q held behind entry %d cannot be read, and may go beyond entry %d, the newest one of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
}

// Evidence is what the dirs, the replayed one among them, prove for the voters
// before the log's tail and for those after it: a majority of both counts.
func (r *Replay) Evidence(all []*Survivor) Evidence {
	before, after := r.Survivor.Evidence(all, r.Survivor.Voters()), r.Survivor.Evidence(all, r.Voters)
	if before.Voters > 0 && !before.Complete() || len(r.Voters) == 0 {
		return before
	}
	return after
}

// Loss is the verdict on a result that is behind what another of the dirs has,
// or may have: going on with it would lose acknowledged writes without a word.
// nil says that a majority proves it complete, or that no dir speaks against
// it.
func (r *Replay) Loss(all []*Survivor) *LossError {
	e := r.Evidence(all)
	if e.Complete() || len(e.Doubts) == 0 {
		return nil
	}
	return &LossError{Evidence: e, Than: r.Survivor}
}
