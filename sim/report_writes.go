package sim

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// latencyHeight is the height of the plot of latencies, in CSS pixels.
const latencyHeight = 60

// latencies plots the slowest acknowledged write of each second.
type latencies struct {
	Most Duration
	Bars []chartBar
}

func latenciesOf(run *Run) latencies {
	a := axis{max(run.Length.D(), time.Second)}
	var l latencies
	for _, b := range run.Tally.Buckets {
		l.Most = max(l.Most, b.Slowest)
	}
	for i, b := range run.Tally.Buckets {
		if b.Slowest == 0 {
			continue
		}
		left, right := a.x(Duration(time.Duration(i)*time.Second)), a.x(Duration(time.Duration(i+1)*time.Second))
		h := max(1, float64(latencyHeight)*float64(b.Slowest)/float64(l.Most))
		l.Bars = append(l.Bars, chartBar{X: left, W: right - left, Y: latencyHeight - h, H: h, Class: "ok",
			Title: "second " + strconv.Itoa(i+1) + ": " + b.Slowest.String() + " at most"})
	}
	return l
}

// failureGroup is the failed writes with one answer from one member.
type failureGroup struct {
	Member, Error string
	Clients       []string
	N             int
	First, Last   Duration
}

// failuresOf groups failed writes, the most first.
func failuresOf(run *Run) []failureGroup {
	var groups []failureGroup
	for _, f := range run.Tally.Failures {
		i := slices.IndexFunc(groups, func(g failureGroup) bool { return g.Member == f.Member && g.Error == f.Error })
		if i < 0 {
			i = len(groups)
			groups = append(groups, failureGroup{Member: f.Member, Error: f.Error, First: f.At})
		}
		g := &groups[i]
		g.N, g.Last = g.N+1, f.At
		who := "the drill"
		if f.Client > 0 {
			who = strconv.Itoa(f.Client)
		}
		if !slices.Contains(g.Clients, who) {
			g.Clients = append(g.Clients, who)
		}
	}
	slices.SortStableFunc(groups, func(a, b failureGroup) int { return cmp.Compare(b.N, a.N) })
	return groups
}
