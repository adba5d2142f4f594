package console

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// tellChoice says why another dir than SRC is read, and what of the dirs given
// is damaged. What is damaged in the one that is read, its replay tells.
func (o *Opener) tellChoice(best *datadir.Survivor, all []*datadir.Survivor) {
	if src := all[0]; best != src {
		newest, _ := best.Newest()
		own, _ := src.Newest()
		switch reason := src.Against(all); {
		case reason != datadir.Older:
			o.Env.Warn("reading %q instead of %q: %s", best.Dir.Path, o.Src.Path, reason)
		case src.EndKnown() && src.Damage() == "":
			o.Env.Warn("reading %q instead: its log is newer than that of %q", best.Dir.Path, o.Src.Path)
		default:
			o.Env.Warn("reading %q instead, whose log can be read to entry %d: that of %q to entry %d", best.Dir.Path, newest, o.Src.Path, own)
		}
	}
	for _, s := range all {
		if damage := s.Damage(); s != best && damage != "" {
			last, _ := s.Log.Last()
			o.Env.Warn("%q: %s; the newest entry of its log that can be read is %d", s.Dir.Path, damage, last)
		}
	}
}

// EvidenceOf is what the dirs prove for the voters before the log's tail and
// for those after it: a majority of both counts.
func EvidenceOf(r *datadir.Replay, all []*datadir.Survivor) datadir.Evidence {
	before, after := r.Survivor.Evidence(all, r.Survivor.Voters()), r.Survivor.Evidence(all, r.Voters)
	if before.Voters > 0 && !before.Complete() || len(r.Voters) == 0 {
		return before
	}
	return after
}

// weigh refuses a result that is behind what another of the dirs has, or may
// have: a write that was acknowledged would be lost without a word.
func (o *Opener) weigh(r *datadir.Replay, all []*datadir.Survivor) error {
	e := EvidenceOf(r, all)
	if e.Complete() || len(e.Doubts) == 0 {
		return nil
	}
	var doubts []string
	for _, d := range e.Doubts {
		doubts = append(doubts, DoubtOf(d, r.Survivor))
	}
	text := strings.Join(doubts, "; ")
	if o.Opts.AcceptLoss {
		o.Env.Warn("%s", text)
		return nil
	}
	return &CodedError{
		Code: ExitDamaged, Err: fmt.Errorf("%s: acknowledged writes may be lost", text),
		Hint: "with --peer-dir, the whole dirs of more voters may prove that nothing is missing; --accept-loss goes on without it",
	}
}

// DoubtOf says what of a dir the survivor may not have.
func DoubtOf(d datadir.Doubt, than *datadir.Survivor) string {
	newest, _ := than.Newest()
	if d.Known {
		return fmt.Sprintf("%q went to entry %d, beyond entry %d, the newest one that can be had of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
	}
	return fmt.Sprintf("what %q held behind entry %d cannot be read, and may go beyond entry %d, the newest one of %q", d.Survivor.Dir.Path, d.Newest, newest, than.Dir.Path)
}

// Damaged reports whether an error says that a dir's content is damaged; any
// other says nothing of it.
func Damaged(err error) bool {
	return errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNotDatabase) || errors.Is(err, snapshot.ErrNotEtcd)
}
