package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The chart's heights, in CSS pixels. Its width is the page's: everything that
// lies along the time has its place in percent, so that text keeps its size on
// a phone and on paper.
const (
	flagsHeight  = 22 // the numbers of what was done
	rowHeight    = 28
	barHeight    = 20
	writesHeight = 72
	axisHeight   = 24
)

// chart is a run over time.
type chart struct {
	Height, WritesY, AxisY int
	Rows                   []chartRow
	Most                   int // writes in the fullest second
	Bars                   []chartBar
	Flags                  []chartFlag
	Ticks                  []chartTick
	Roles                  []Role // that occur, for the legend
}

// chartRow is a member, or the network.
type chartRow struct {
	Name  string
	Y     int
	Spans []chartSpan
}

// chartSpan is a stretch of a row. X and W are percent of the time.
type chartSpan struct {
	X, W         float64
	Class        string
	Text         string // in the bar
	Term, Commit uint64 // 0 where it says nothing
	Title        string
}

type chartBar struct {
	X, W  float64 // percent
	Y, H  float64 // pixels
	Class string
	Title string
}

// chartFlag marks a moment at which something was done; From and To are
// numbers in the list of deeds.
type chartFlag struct {
	X        float64
	From, To int
	Class    string
}

type chartTick struct {
	X      float64
	Anchor string
	Label  string
}

// deed is something that was done, or an alarm: what the flags point at.
type deed struct {
	At    Duration
	Text  string
	Class string
}

// axis turns times into percent.
type axis struct{ length time.Duration }

func (a axis) x(d Duration) float64 { return 100 * min(1, float64(d)/float64(a.length)) }

// chartOf draws who was what when, what was cut off, what was done, and the
// writes per second.
func chartOf(run *Run) chart {
	a := axis{max(run.Length.D(), time.Second)}
	c := chart{Ticks: a.ticks()}
	for _, m := range run.Members {
		c.add(chartRow{Name: m.Name, Spans: a.roles(run, m.Name)})
	}
	for _, role := range []Role{RoleLeader, RoleFollower, RoleCandidate, RoleLearner, RoleDown, RoleRemoved} {
		if slices.ContainsFunc(c.Rows, func(r chartRow) bool {
			return slices.ContainsFunc(r.Spans, func(s chartSpan) bool { return s.Class == string(role) })
		}) {
			c.Roles = append(c.Roles, role)
		}
	}
	if cuts := a.cuts(run); len(cuts) > 0 {
		c.add(chartRow{Name: "links", Spans: cuts})
	}
	c.Flags = a.flags(deedsOf(run))
	c.WritesY = flagsHeight + len(c.Rows)*rowHeight + 6
	c.AxisY = c.WritesY + writesHeight
	c.Height = c.AxisY + axisHeight
	c.bars(run.Tally.Buckets, a)
	return c
}

func (c *chart) add(row chartRow) {
	row.Y = flagsHeight + len(c.Rows)*rowHeight
	c.Rows = append(c.Rows, row)
}

// roles are the stretches in which a member was one thing.
func (a axis) roles(run *Run, name string) []chartSpan {
	var out []chartSpan
	var open *Event
	end := func(at Duration) {
		if open == nil || a.x(at) <= a.x(open.At) {
			return
		}
		out = append(out, chartSpan{
			X: a.x(open.At), W: a.x(at) - a.x(open.At), Class: string(open.Role), Text: string(open.Role), Term: open.Term, Commit: open.Commit,
			Title: name + " is " + string(open.Role) + " from " + seconds(open.At) + " to " + seconds(at) + ", term " + uintText(open.Term) + ", commit " + uintText(open.Commit),
		})
	}
	for i := range run.Events {
		if e := &run.Events[i]; e.Kind == EventRole && e.Member == name {
			end(e.At)
			open = e
		}
	}
	end(Duration(a.length))
	return out
}

// cuts are the stretches in which links were not whole.
func (a axis) cuts(run *Run) []chartSpan {
	var out []chartSpan
	from, texts := Duration(0), []string(nil)
	end := func(at Duration) {
		if len(texts) > 0 {
			text := strings.Join(texts, ", ")
			out = append(out, chartSpan{X: a.x(from), W: a.x(at) - a.x(from), Class: "cut", Text: text, Title: text + " from " + seconds(from) + " to " + seconds(at)})
		}
		texts = nil
	}
	for _, e := range run.Events {
		switch {
		case e.Kind != EventLink:
		case e.Text == "healed":
			end(e.At)
		default:
			if len(texts) == 0 {
				from = e.At
			}
			texts = append(texts, e.Text)
		}
	}
	end(Duration(a.length))
	return out
}

// deedsOf are the actions and alarms of a run, in order.
func deedsOf(run *Run) []deed {
	var out []deed
	for _, e := range run.Events {
		if e.Kind == EventAction || e.Kind == EventAlarm {
			out = append(out, deed{At: e.At, Text: strings.TrimSpace(e.Member + " " + e.Text), Class: string(e.Kind)})
		}
	}
	return out
}

// flagRoom is how much of the width a flag takes on a phone, in percent.
const flagRoom = 6

// flags puts what lies too close together under one flag.
func (a axis) flags(deeds []deed) []chartFlag {
	var out []chartFlag
	for i, d := range deeds {
		x := a.x(d.At)
		if n := len(out); n > 0 && x-out[n-1].X < flagRoom {
			out[n-1].To = i + 1
			continue
		}
		out = append(out, chartFlag{X: x, From: i + 1, To: i + 1, Class: d.Class})
	}
	return out
}

// bars stacks the writes of each second.
func (c *chart) bars(buckets []Bucket, a axis) {
	for _, b := range buckets {
		c.Most = max(c.Most, b.Acknowledged+b.Failed)
	}
	for i, b := range buckets {
		left, right := a.x(Duration(time.Duration(i)*time.Second)), a.x(Duration(time.Duration(i+1)*time.Second))
		y := float64(c.WritesY + writesHeight)
		for _, part := range []struct {
			n           int
			class, word string
		}{{b.Acknowledged, "ok", " acknowledged"}, {b.Failed, "failed", " refused or unanswered"}} {
			if part.n == 0 {
				continue
			}
			h := float64(writesHeight-14) * float64(part.n) / float64(c.Most)
			y -= h
			c.Bars = append(c.Bars, chartBar{X: left, W: right - left, Y: y, H: h, Class: part.class, Title: "second " + strconv.Itoa(i+1) + ": " + strconv.Itoa(part.n) + part.word})
		}
	}
}

// ticks are at round times, six at most.
func (a axis) ticks() []chartTick {
	const most = 6
	step := time.Second
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400} {
		if step = s * time.Second; a.length/step < most {
			break
		}
	}
	var out []chartTick
	for at := time.Duration(0); at <= a.length; at += step {
		tick := chartTick{X: a.x(Duration(at)), Anchor: "middle", Label: seconds(Duration(at))}
		switch {
		case at == 0:
			tick.Anchor = "start"
		case tick.X > 95:
			tick.Anchor = "end"
		}
		out = append(out, tick)
	}
	return out
}
