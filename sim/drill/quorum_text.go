package drill

import (
	"io"
	"strconv"

	"github.com/lifeboat-dr/lifeboat/internal/text"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// WriteText shows the answer in sentences.
func (a *QuorumAnswer) WriteText(w io.Writer) error {
	out := text.NewSection(w)
	out.Line("%d of %d members die; a quorum is %d", a.Killed, a.Members, a.Quorum)
	switch a.Keeps {
	case a.Seeds:
		out.Line("writes go on in all %d runs", a.Seeds)
	case 0:
		out.Line("writes stop, in all %d runs: members left: %d", a.Seeds, a.Members-a.Killed)
	default:
		out.Line("writes go on in %d of %d runs", a.Keeps, a.Seeds)
	}
	for _, without := range []struct {
		what string
		s    *sim.Spread
	}{{"a leader", a.Leaderless}, {"an acknowledged write", a.Silence}} {
		if s := without.s; s != nil {
			out.Line("without %s: %s at least, %s in the middle, %s for 99 of 100, %s at most", without.what, s.Min.Short(), s.Median.Short(), s.P99.Short(), s.Max.Short())
		}
	}
	for _, l := range a.Lost {
		after := ""
		if l.After != "" {
			after = ", after " + l.After + " on a survivor"
		}
		if l.Unknown > 0 {
			out.Line("what is lost is unknown in %d of %d runs%s: nobody leads that could be asked", l.Unknown, l.Of, after)
		}
		switch known := l.Of - l.Unknown; {
		case l.Seeds > 0:
			out.Line("acknowledged writes are lost in %d of %d runs, up to %d%s", l.Seeds, known, l.Most, after)
		case known > 0:
			out.Line("no acknowledged write is lost in %d runs%s", known, after)
		}
	}
	if len(a.Lost) > 1 {
		out.Line("what only the dead had is lost whatever is done: here links take 1 to 6 ms, and no survivor lagged behind")
	}
	return out.Err
}

// WriteQuorumTable shows a line for each size.
func WriteQuorumTable(w io.Writer, rows []QuorumRow) error {
	t := text.NewTable(w, "MEMBERS", "QUORUM", "STANDS", "WITHOUT WRITES", "NOTE")
	for _, row := range rows {
		silence, note := "-", ""
		if row.Silence != nil {
			silence = "up to " + row.Silence.Max.Short()
		}
		if !row.Gain {
			note = "no more than " + strconv.Itoa(row.Members-1)
		}
		t.Row(strconv.Itoa(row.Members), strconv.Itoa(row.Quorum), strconv.Itoa(row.Stands), silence, note)
	}
	return t.Flush()
}

// WritePlan shows a line for each step.
func WritePlan(w io.Writer, steps []PlanStep) error {
	t := text.NewTable(w, "PLAN", "STEP", "ETCD SAYS", "WRITES THEN")
	for _, s := range steps {
		t.Row(s.Plan, s.Action, s.Says, s.Writes)
	}
	return t.Flush()
}
