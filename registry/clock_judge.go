package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// apart is by how much clocks may differ before one of them counts as
	// wrong: NTP keeps machines far closer, and a slow write stays below.
	apart = 2 * second

	// witnesses are how many other clocks are asked about a point, at most: the
	// nearest. Fewer than all of a small cluster's could be the wrong ones.
	witnesses = 16
)

// judge takes out the points that most other clocks contradict, and all of a
// clock of which most are. It names such clocks, and never takes one clock's
// word against one other's.
func (c *Clock) judge(points []point, names []string) []point {
	before, after := askWitnesses(points, false), askWitnesses(points, true)
	tallies := make([]sourceTally, len(names))
	dropped := make([]bool, len(points))
	for i, p := range points {
		off := offBy(p, before[i], after[i])
		dropped[i] = off.abs() > apart && max(before[i].asked, after[i].asked) >= 2
		tallies[p.source].add(off, dropped[i], max(before[i].reach, after[i].reach))
	}
	kept := make([]point, 0, len(points))
	for i, p := range points {
		if !dropped[i] && tallies[p.source].wrong() == 0 {
			kept = append(kept, p)
		}
	}
	for i, t := range tallies {
		if t.points > 0 {
			c.Clocks = append(c.Clocks, ClockSource{Name: names[i], Points: t.points, Dropped: len(t.off), Off: t.wrong().duration()})
		}
	}
	slices.SortFunc(c.Clocks, func(a, b ClockSource) int { return strings.Compare(a.Name, b.Name) })
	c.weigh(tallies)
	return kept
}

// sourceTally is what became of a clock's points.
type sourceTally struct {
	points int
	off    []micros // of those dropped
	apart  micros   // the furthest outside the others
	reach  micros   // the furthest from one of the others, the time between them included
}

func (t *sourceTally) add(off micros, dropped bool, reach micros) {
	t.points++
	t.apart = max(t.apart, off.abs())
	t.reach = max(t.reach, reach)
	if dropped {
		t.off = append(t.off, off)
	}
}

// wrong is by how much the clock is wrong, 0 where most of its points fit.
func (t *sourceTally) wrong() micros {
	if 2*len(t.off) <= t.points {
		return 0
	}
	slices.Sort(t.off)
	return t.off[len(t.off)/2]
}

// measureWrong puts in place of the witnesses' word on a wrong clock, which is
// as old as they are, how far it is from the fitted times.
func (c *Clock) measureWrong(points []point, names []string) {
	off := map[string][]time.Duration{} // by the name of a wrong clock
	for _, s := range c.Clocks {
		if s.Wrong() {
			off[s.Name] = []time.Duration{}
		}
	}
	for _, p := range points {
		name := names[p.source]
		if _, wrong := off[name]; !wrong {
			continue
		}
		if m := c.Time(p.rev); m.Bound() > 0 {
			off[name] = append(off[name], p.low.time().Sub(m.Time()))
		}
	}
	for i, s := range c.Clocks {
		if own := off[s.Name]; len(own) > 0 {
			slices.Sort(own)
			c.Clocks[i].Off = cmp.Or(own[len(own)/2], s.Off)
		}
	}
}

// weigh says what so few clocks cannot tell.
func (c *Clock) weigh(tallies []sourceTally) {
	switch len(c.Clocks) {
	case 1:
		c.Doubt = fmt.Sprintf("all times are of one clock (%s): whether it is right cannot be told", c.Clocks[0].Name)
	case 2:
		differ, reach := micros(0), micros(0)
		for _, t := range tallies {
			differ, reach = max(differ, t.apart), max(reach, t.reach)
		}
		if differ <= apart {
			return
		}
		c.doubt = reach
		c.Doubt = fmt.Sprintf("the clocks %q and %q differ by up to %s: which of them is right cannot be told",
			c.Clocks[0].Name, c.Clocks[1].Name, reach.duration().Round(time.Second))
	}
}

// withoutCopied leaves creation times out where they do not ascend with their
// revisions: a cluster whose keys were copied one by one into a new etcd has
// revisions that tell nothing of it.
func withoutCopied(points []point, names []string) []point {
	source := slices.Index(names, creations)
	newest := never
	all, behind := 0, 0
	for _, p := range points {
		if p.source != source {
			continue
		}
		all++
		if p.low+creationTakes < newest {
			behind++
		}
		newest = max(newest, p.low)
	}
	if 4*behind <= all {
		return points
	}
	return slices.DeleteFunc(points, func(p point) bool { return p.source == source })
}

// withoutBackwards leaves out, and names, the clocks of which most points come
// after a later time of their own: no other clock has to contradict them.
func withoutBackwards(points []point, names []string) (kept []point, backwards []ClockSource) {
	newest := slices.Repeat([]micros{never}, len(names))
	all, behind := make([]int, len(names)), make([]int, len(names))
	for _, p := range points {
		all[p.source]++
		if p.low+p.slack+apart < newest[p.source] {
			behind[p.source]++
		}
		newest[p.source] = max(newest[p.source], p.low)
	}
	for i, name := range names {
		if 2*behind[i] > all[i] {
			backwards = append(backwards, ClockSource{Name: name, Points: all[i], Dropped: all[i], Backwards: true})
		}
	}
	return slices.DeleteFunc(points, func(p point) bool { return 2*behind[p.source] > all[p.source] }), backwards
}

// testimony is what other clocks say of a point: by how much it is later than
// each of them, on one side of it.
type testimony struct {
	asked int
	off   micros // what most of them say; of an even number the milder half decides
	reach micros // the furthest from any of them
}

// askWitnesses asks for each point what other clocks said last before it, or
// first after it, each once.
func askWitnesses(points []point, after bool) []testimony {
	said := make([]testimony, len(points))
	var recent []point // of each clock one, the nearest first
	later := make([]micros, 0, witnesses)
	for n := range points {
		i := n
		if after {
			i = len(points) - 1 - n
		}
		p := points[i]
		later = later[:0]
		for _, w := range recent {
			if w.source != p.source && len(later) < witnesses {
				later = append(later, p.low-w.low)
			}
		}
		slices.Sort(later)
		if k := len(later); k > 0 {
			said[i] = testimony{k, later[k/2], max(later[0].abs(), later[k-1].abs())}
			if after {
				said[i].off = later[(k-1)/2]
			}
		}
		if at := slices.IndexFunc(recent, func(w point) bool { return w.source == p.source }); at >= 0 {
			copy(recent[1:], recent[:at])
			recent[0] = p
		} else {
			recent = slices.Insert(recent, 0, p)[:min(len(recent)+1, witnesses+1)]
		}
	}
	return said
}

// offBy is by how much a point lies outside what most witnesses leave for it:
// not before those that came before, not after those that came after.
func offBy(p point, before, after testimony) micros {
	ahead, behind := max(0, after.off), max(0, -before.off-p.slack)
	return cmp.Or(ahead, -behind)
}
