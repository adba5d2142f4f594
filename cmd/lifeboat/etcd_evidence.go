package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// tellChoice says why another dir than SRC is read, and what of the dirs given
// is damaged. What is damaged in the one that is read, its replay tells.
func (o *opener) tellChoice(best *datadir.Survivor, all []*datadir.Survivor) {
	if src := all[0]; best != src {
		newest, _ := best.Newest()
		own, _ := src.Newest()
		switch reason := src.Against(all); {
		case reason != datadir.Older:
			o.env.warn("reading %q instead of %q: %s", best.Dir.Path, o.src.path, reason)
		case src.EndKnown() && src.Damage() == "":
			o.env.warn("reading %q instead: its log is newer than that of %q", best.Dir.Path, o.src.path)
		default:
			o.env.warn("reading %q instead, whose log can be read to entry %d: that of %q to entry %d", best.Dir.Path, newest, o.src.path, own)
		}
	}
	for _, s := range all {
		if damage := s.Damage(); s != best && damage != "" {
			last, _ := s.Log.Last()
			o.env.warn("%q: %s; the newest entry of its log that can be read is %d", s.Dir.Path, damage, last)
		}
	}
}

// evidenceOf is what the dirs prove for the voters before the log's tail and
// for those after it: a majority of both counts.
func evidenceOf(r *datadir.Replay, all []*datadir.Survivor) datadir.Evidence {
	before, after := r.Survivor.Evidence(all, r.Survivor.Voters()), r.Survivor.Evidence(all, r.Voters)
	if before.Voters > 0 && !before.Complete() || len(r.Voters) == 0 {
		return before
	}
	return after
}

// weigh refuses a result that is behind what another of the dirs has, or may
// have: a write that was acknowledged would be lost without a word.
func (o *opener) weigh(r *datadir.Replay, all []*datadir.Survivor) error {
	e := evidenceOf(r, all)
	if e.Complete() || len(e.Doubts) == 0 {
		return nil
	}
	var doubts []string
	for _, d := range e.Doubts {
		doubts = append(doubts, doubtOf(d, r.Survivor))
	}
	text := strings.Join(doubts, "; ")
	if o.opts.AcceptLoss {
		o.env.warn("%s", text)
		return nil
	}
	return &codedError{
		Code: exitDamaged, Err: fmt.Errorf("%s: acknowledged writes may be lost", text),
		Hint: "with --peer-dir, the whole dirs of more voters may prove that nothing is missing; --accept-loss goes on without it",
	}
}

// doubtOf says what of a dir the survivor may not have.
func doubtOf(d datadir.Doubt, than *datadir.Survivor) string {
	newest, _ := than.Newest()
	if d.Known {
		return fmt.Sprintf("%q went to entry %d, beyond entry %d, the newest one that can be had of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
	}
	return fmt.Sprintf("what %q held behind entry %d cannot be read, and may go beyond entry %d, the newest one of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
}

// damaged reports whether an error says that a dir's content is damaged; any
// other says nothing of it.
func damaged(err error) bool {
	return errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNotDatabase) || errors.Is(err, snapshot.ErrNotEtcd)
}
