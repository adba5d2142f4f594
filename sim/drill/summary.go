package drill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// summary takes the numbers of a run that is over.
func (r *runner) summary(ctx context.Context) {
	c, run, s := r.cluster, &r.run, r.scenario
	run.Length, run.Members, run.Tally = sim.Duration(c.Now()), c.Members(), c.Tally()
	run.Events, run.Digest = c.Events(), c.Digest()
	run.Checked = c.Checked()
	for _, i := range s.Always {
		if !slices.Contains(run.Checked, i) {
			run.Unchecked = append(run.Unchecked, i)
		}
	}
	r.objects(ctx)
	if run.Verdict == sim.NotSteady || run.Verdict == sim.Aborted {
		return // nothing was measured to its end
	}
	r.loss()
	if o := run.Objects; o != nil && slices.Contains(s.Always, sim.AckedWritesSurvive) && len(o.Lost) > 0 {
		r.fail("invariant "+string(sim.AckedWritesSurvive), fmt.Sprintf("invariant acked-writes-survive: %d objects of the backup are gone, of them %s", len(o.Lost), o.Lost[0]))
	}
	if s.Measure.From == "" {
		return
	}
	run.RTO = rto(s, run)
	if limit := s.Expect.RTO; limit != nil && run.RTO.Total > *limit {
		r.fail("rto", fmt.Sprintf("rto: it took %s, and may take %s", run.RTO.Total, limit))
	}
}

// loss judges what is lost. That nobody can say is no pass.
func (r *runner) loss() {
	run, s := &r.run, r.scenario
	lost, survive := run.Tally.Lost, slices.Contains(s.Always, sim.AckedWritesSurvive)
	if s.Measure.RPO {
		if run.RPOUnknown = !run.Tally.LostKnown; !run.RPOUnknown {
			run.RPO = &run.Tally.Lost
		}
	}
	switch limit := s.Expect.RPO; {
	case limit != nil && run.RPOUnknown:
		r.fail("rpo", fmt.Sprintf("rpo: %s, and at most %d may be", sim.LossUnknown, *limit))
	case limit != nil && lost > *limit:
		r.fail("rpo", fmt.Sprintf("rpo: %d acknowledged writes are lost, and at most %d may be", lost, *limit))
	case survive && !run.Tally.LostKnown:
		r.fail(string(sim.AckedWritesSurvive), string(sim.AckedWritesSurvive)+": "+sim.LossUnknown)
	case survive && lost > 0:
		r.fail("invariant "+string(sim.AckedWritesSurvive), fmt.Sprintf("invariant acked-writes-survive: %d acknowledged writes are lost", lost))
	}
}

// objects asks engines that started from a backup what is left of it.
func (r *runner) objects(ctx context.Context) {
	backup, ok := r.cluster.(interface {
		ObjectLoss(ctx context.Context) sim.ObjectLoss
	})
	if ok && r.scenario.Given.Snapshot != "" {
		loss := backup.ObjectLoss(ctx)
		r.run.Objects = &loss
	}
}

// rto is measured from the start of a step. Until a step is until its end;
// until steady is until the last gap, a stretch without an acknowledged write,
// was over; of stretches too short to be gaps it is the length of the longest.
// Without a load it is until steady was seen again.
func rto(s *sim.Scenario, run *sim.Run) *sim.RTO {
	from, end := sim.Duration(0), run.Length
	for _, step := range run.Steps {
		if step.Name == s.Measure.From {
			from = step.Start
		}
		if step.Name == s.Measure.Until {
			end = step.End
		}
	}
	if s.Measure.Until == "steady" {
		end = recovered(s, run, from)
	}
	end = max(end, from)
	detect, decide := from, from
	for _, e := range run.Events {
		switch {
		case e.At <= from:
		case e.At > end:
			// Real members are looked at now and then: writes may be back before it
			// was seen who leads.
			if e.Kind == sim.EventRole && e.At <= end+lookLag && detect == from {
				detect = end
			}
		case e.Kind == sim.EventRole && e.Role != sim.RoleDown && e.Role != sim.RoleRemoved:
			if detect == from {
				detect = e.At
			}
			if e.Role == sim.RoleLeader {
				decide = e.At
			}
		case e.Kind == sim.EventAction:
			decide = e.At
		}
	}
	decide = max(decide, detect)
	return &sim.RTO{
		Detect: detect - from, Decide: decide - detect, Restore: end - decide, Total: end - from,
		WithoutLeader: withoutLeader(run, from),
	}
}

// lookLag is how late a role of a real member may be seen (sim/members looks ten
// times a second).
const lookLag = sim.Duration(200 * time.Millisecond)

// withoutLeader is the longest stretch after from in which no member led.
func withoutLeader(run *sim.Run, from sim.Duration) (longest sim.Duration) {
	leaders := map[string]bool{}
	since := from
	for _, e := range run.Events {
		if e.Kind != sim.EventRole {
			continue
		}
		had := len(leaders) > 0
		if delete(leaders, e.Member); e.Role == sim.RoleLeader {
			leaders[e.Member] = true
		}
		switch has := len(leaders) > 0; {
		case had && !has:
			since = max(from, e.At)
		case has && !had && e.At > from:
			longest = max(longest, e.At-since)
		}
	}
	if len(leaders) == 0 {
		longest = max(longest, run.Length-since)
	}
	return longest
}

// longestSilence is the longest stretch without an acknowledged write after from.
func longestSilence(silences []sim.Gap, from sim.Duration) (longest sim.Duration) {
	for _, s := range silences {
		longest = max(longest, s.Until-max(s.From, from))
	}
	return longest
}

func recovered(s *sim.Scenario, run *sim.Run, from sim.Duration) sim.Duration {
	if s.Given.Load.Writes > 0 {
		end := from
		for _, gap := range run.Tally.Gaps {
			switch {
			case gap.Until == 0:
				return run.Length // it has not ended
			case gap.Until > from:
				end = gap.Until
			}
		}
		if end == from { // shorter than what counts as a gap, and yet without writes
			end += longestSilence(run.Tally.Silences, from)
		}
		return end
	}
	for _, check := range run.After {
		from = max(from, check.At)
	}
	return from
}
