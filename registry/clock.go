package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Clock tells when a revision was written. etcd keeps no time, but whoever
// holds a Lease writes into it, every few seconds, what time it is; and an
// object carries the second of its creation. Ordered by revision these are a
// clock.
//
// A renewal is written after its time was read, and an object at most a second
// after its creationTimestamp began, plus what the write takes. So each point
// bounds all revisions after it from below, and all before it from above; a
// revision in between is known as well as the gap is wide.
type Clock struct {
	// Clocks are the machines that the times come from, by name.
	Clocks []ClockSource

	// Doubt says what cannot be told about the times, "" for nothing.
	Doubt string

	windows     []snapshot.Window
	lows, highs []tick // by revision, and both by time
	doubt       micros
}

// tick is a bound: from rev on not before at, or up to rev not after it.
type tick struct {
	rev int64
	at  micros
}

// ClockSource is a machine whose clock was read.
type ClockSource struct {
	Name    string        `json:"name"`
	Points  int           `json:"points"`
	Dropped int           `json:"dropped,omitempty"` // points that the other clocks contradict
	Off     time.Duration `json:"-"`                 // by how much it is wrong, where it is: positive is ahead

	Backwards bool `json:"backwards,omitempty"` // later points are earlier times
}

// Wrong reports whether the other clocks contradict this one, or it itself.
func (s ClockSource) Wrong() bool { return s.Off != 0 || s.Backwards }

// String says what is wrong with the clock.
func (s ClockSource) String() string {
	switch {
	case s.Backwards:
		return fmt.Sprintf("the clock of %q runs backwards: its times do not count", s.Name)
	case s.Wrong():
		return fmt.Sprintf("the clock of %q is wrong by about %s: its times do not count", s.Name, s.Off.Round(time.Second))
	}
	return fmt.Sprintf("the clock of %q is right", s.Name)
}

// Moment is when something was written: not before Earliest and not after
// Latest. A zero time is a bound that nothing gives.
type Moment struct {
	Earliest time.Time `json:"earliest,omitzero"`
	Latest   time.Time `json:"latest,omitzero"`
}

// Time is the middle of the moment, or the one bound that is known.
func (m Moment) Time() time.Time {
	switch {
	case m.Earliest.IsZero():
		return m.Latest
	case m.Latest.IsZero():
		return m.Earliest
	}
	return m.Earliest.Add(m.Latest.Sub(m.Earliest) / 2)
}

// Bound is by how much Time may be wrong; 0 where only one bound is known.
func (m Moment) Bound() time.Duration {
	if m.Earliest.IsZero() || m.Latest.IsZero() {
		return 0
	}
	return m.Latest.Sub(m.Earliest) / 2
}

// Known reports whether anything is known of the moment.
func (m Moment) Known() bool { return !m.Earliest.IsZero() || !m.Latest.IsZero() }

// String is the moment for people: "2026-11-21 20:50:12Z ± 2 s".
func (m Moment) String() string {
	text := m.Time().UTC().Format("2006-01-02 15:04:05Z")
	switch {
	case !m.Known():
		return "unknown"
	case m.Earliest.IsZero():
		return text + " or before"
	case m.Latest.IsZero():
		return text + " or later"
	}
	return text + " ± " + roundBound(m.Bound())
}

// roundBound rounds up, to what people read at a glance.
func roundBound(d time.Duration) string {
	switch up := func(unit time.Duration) int64 { return int64((d + unit - 1) / unit) }; {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(1, up(time.Second)))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", up(time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", up(time.Hour))
	default:
		return fmt.Sprintf("%d days", up(24*time.Hour))
	}
}

// ErrNoClock says that a backup holds nothing that tells the time: no Lease and
// no object that can be read.
var ErrNoClock = errors.New("the backup holds no clock: neither a Lease nor a creation time can be read")

// ErrNoHistory says that the engine shows one revision at a time.
var ErrNoHistory = errors.New("this engine does not show the history")

// history is the keyspace with its past.
func (r *Registry) history() (snapshot.History, error) {
	h, ok := r.reader.(snapshot.History)
	if !ok {
		return nil, ErrNoHistory
	}
	return h, nil
}

// Clock reads the clock in one pass over the history. It decodes no object:
// memory is some 40 bytes for each Lease's renewal and each object.
func (r *Registry) Clock(ctx context.Context) (*Clock, error) {
	h, err := r.history()
	if err != nil {
		return nil, fmt.Errorf("reading the clock: %w", err)
	}
	g := pointGatherer{registry: r, windows: h.Windows(), sources: map[string]int{}}
	for record, err := range h.Changes(ctx, nil) {
		if err != nil {
			return nil, fmt.Errorf("reading the clock: %w", err)
		}
		g.add(ctx, record)
	}
	return newClock(g.points, g.names, h.Windows())
}

// newClock fits a clock to points.
func newClock(points []point, names []string, windows []snapshot.Window) (*Clock, error) {
	slices.SortFunc(points, comparePoints)
	c := &Clock{windows: windows}
	points = withoutCopied(points, names)
	points, backwards := withoutBackwards(points, names)
	kept := c.judge(points, names)
	if len(kept) == 0 {
		return nil, ErrNoClock
	}
	c.fit(kept)
	c.measureWrong(points, names)
	c.Clocks = append(c.Clocks, backwards...)
	slices.SortFunc(c.Clocks, func(a, b ClockSource) int { return strings.Compare(a.Name, b.Name) })
	return c, nil
}

// fit makes the bounds. A point that comes late, after a greater time, says
// that its write took long: it is no bound from above.
func (c *Clock) fit(points []point) {
	newest := never
	for _, p := range points {
		if p.low > newest {
			newest = p.low
			if n := len(c.lows); n > 0 && c.lows[n-1].rev == p.rev {
				c.lows[n-1].at = p.low
			} else {
				c.lows = append(c.lows, tick{p.rev, p.low})
			}
		}
		if high := p.low + p.slack; high >= newest {
			for n := len(c.highs); n > 0 && (c.highs[n-1].at >= high || c.highs[n-1].rev == p.rev && c.highs[n-1].at > high); n-- {
				c.highs = c.highs[:n-1] // a later revision is not after it
			}
			if n := len(c.highs); n == 0 || c.highs[n-1].rev < p.rev {
				c.highs = append(c.highs, tick{p.rev, high})
			}
		}
	}
}

// Time is when a revision was written.
func (c *Clock) Time(rev int64) (m Moment) {
	if i := sort.Search(len(c.lows), func(i int) bool { return c.lows[i].rev > rev }); i > 0 {
		m.Earliest = (c.lows[i-1].at - c.doubt).time()
	}
	if i := sort.Search(len(c.highs), func(i int) bool { return c.highs[i].rev >= rev }); i < len(c.highs) {
		m.Latest = c.highs[i].at.time()
	}
	return m
}

// TimeError says that a time lies outside what a backup holds.
type TimeError struct {
	Time           time.Time
	Oldest, Newest Moment // of what it holds
	First, Last    int64  // and the revisions
	Hole           bool   // it lies within, in a hole between First and Last
}

func (e *TimeError) Error() string {
	at := e.Time.UTC().Format("2006-01-02 15:04:05Z")
	if e.Hole {
		return fmt.Sprintf("%s lies in a hole: no backup holds what was written between revision %d (%s) and revision %d (%s)",
			at, e.First, e.Oldest, e.Last, e.Newest)
	}
	return fmt.Sprintf("%s is not in the backup, which holds revision %d (%s) to %d (%s)", at, e.First, e.Oldest, e.Last, e.Newest)
}

// At is the newest revision that was certainly written by a time, and can be
// read; with when it was written. A time before the oldest such revision, after
// the newest one or in a hole is a *TimeError.
func (c *Clock) At(t time.Time) (rev int64, m Moment, err error) {
	newest, oldest := c.windows[0], c.windows[len(c.windows)-1]
	outside := &TimeError{
		Time: t, First: oldest.First, Last: newest.Last,
		Oldest: c.Time(oldest.First), Newest: c.Time(newest.Last),
	}
	if t.After(c.newest()) {
		return 0, Moment{}, outside
	}
	// Latest ascends with the revision.
	i := sort.Search(len(c.highs), func(i int) bool { return c.highs[i].at.time().After(t) })
	if i == 0 {
		return 0, Moment{}, outside
	}
	rev = c.highs[i-1].rev
	for k, w := range c.windows {
		switch {
		case w.Holds(rev):
			return rev, c.Time(rev), nil
		case rev > w.Last && k == 0:
			return w.Last, c.Time(w.Last), nil
		case rev > w.Last: // between this window and the newer one
			next := c.windows[k-1].First
			return 0, Moment{}, &TimeError{Time: t, Hole: true, First: w.Last, Last: next, Oldest: c.Time(w.Last), Newest: c.Time(next)}
		}
	}
	return 0, Moment{}, outside
}

// newest is the time of the newest revision, as far as it is known.
func (c *Clock) newest() time.Time {
	m := c.Time(c.windows[0].Last)
	if m.Latest.IsZero() || len(c.highs) > 0 && c.highs[len(c.highs)-1].at.time().After(m.Latest) {
		return later(m.Earliest, c.highs[len(c.highs)-1].at.time())
	}
	return m.Latest
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Span is a stretch of revisions with its times.
type Span struct {
	First     int64  `json:"first"`
	Last      int64  `json:"last"`
	FirstTime Moment `json:"firstTime"`
	LastTime  Moment `json:"lastTime"`
}

// Range is what can be read: of each window the first and the last revision,
// the newest window first.
func (c *Clock) Range() (spans []Span) {
	for _, w := range c.windows {
		spans = append(spans, Span{w.First, w.Last, c.Time(w.First), c.Time(w.Last)})
	}
	return spans
}

// WidestGap is the moment within the windows that is known worst.
func (c *Clock) WidestGap() (widest Moment) {
	for _, low := range c.lows {
		for _, w := range c.windows {
			if m := c.Time(low.rev + 1); w.Holds(low.rev+1) && m.Bound() > widest.Bound() {
				widest = m
			}
		}
	}
	return widest
}
