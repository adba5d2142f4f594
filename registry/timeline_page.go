package registry

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

//go:embed timeline.html.tmpl
var timelinePage string

// PageOptions say what a page of a timeline shows.
type PageOptions struct {
	Title       string
	ShowSecrets bool // else the values of Secrets are digests

	// Windows are the stretches of revisions that are known whole, the newest
	// first; what lies between is shown as unknown.
	Windows []snapshot.Window
}

// WritePage writes the timeline as one HTML page without a script and without a
// request: a lane for each object, and each change with its diff. It is held in
// memory until it is written.
func (t *Timeline) WritePage(ctx context.Context, w io.Writer, opts PageOptions) error {
	page, err := t.page(ctx, opts)
	if err != nil {
		return err
	}
	tmpl, err := template.New("timeline").Parse(timelinePage)
	if err != nil {
		return err
	}
	return tmpl.Execute(w, page)
}

// page is what the template shows.
type page struct {
	Title       string
	First, Last int64
	Ticks       []string
	Holes       []snapshot.Window
	Lanes       []*lane
	Steps       []pageStep // the newest first
}

type lane struct {
	Name  string
	Lives []stretch // in which the object was there
	Holes []stretch
	Marks []mark
}

// stretch is a part of a lane, in hundredths of its width.
type stretch struct{ Left, Width float64 }

type mark struct {
	ID, Letter, Label string
	Event             Event
	Left              float64
}

type pageStep struct {
	ID, Name, By string
	Revision     string
	When         string
	Event        Event
	Gap          bool
	Fields       []string
	More         int
	Problems     []string
	Diff         []diffLine
}

type diffLine struct{ Kind, Text string }

func (t *Timeline) page(ctx context.Context, opts PageOptions) (*page, error) {
	p := &page{Title: opts.Title}
	if len(t.steps) > 0 {
		p.First, p.Last = t.steps[len(t.steps)-1].at, t.steps[0].at
	}
	p.holes(opts.Windows)
	lanes := map[string]*lane{}
	for step, err := range t.Steps(ctx) {
		if err != nil {
			return nil, err
		}
		s, err := pageStepOf(step, len(p.Steps), opts.ShowSecrets)
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, s)
		l := lanes[step.Key.Path]
		if l == nil {
			l = &lane{Name: s.Name}
			for _, hole := range p.Holes {
				l.Holes = append(l.Holes, between(p.place(hole.First), p.place(hole.Last)))
			}
			lanes[step.Key.Path] = l
			p.Lanes = append(p.Lanes, l)
		}
		l.Marks = append(l.Marks, mark{s.ID, strings.ToUpper(string(s.Event[:1])), fmt.Sprintf("%s at %s, %s", s.Event, step.Place(), s.When), s.Event, p.place(step.at)})
	}
	slices.SortFunc(p.Lanes, func(a, b *lane) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range p.Lanes {
		slices.Reverse(l.Marks)
		l.live()
	}
	p.ticks(t.clock)
	return p, nil
}

// holes are the stretches between the windows that the page's revisions touch.
func (p *page) holes(windows []snapshot.Window) {
	for i := 1; i < len(windows); i++ {
		hole := snapshot.Window{First: max(windows[i].Last+1, p.First), Last: min(windows[i-1].First, p.Last)}
		if hole.First < hole.Last {
			p.Holes = append(p.Holes, hole)
		}
	}
}

// place is where a revision stands, with room for the marks at both ends.
func (p *page) place(rev int64) float64 {
	const margin = 2
	if p.Last == p.First {
		return 50
	}
	at := float64(rev-p.First) / float64(p.Last-p.First)
	return rounded(margin + at*(100-2*margin))
}

func between(from, to float64) stretch { return stretch{from, rounded(to - from)} }

func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// live draws when the object was there.
func (l *lane) live() {
	from := -1.0
	for _, m := range l.Marks {
		switch {
		case m.Event == Deleted && from < 0:
			l.Lives = append(l.Lives, between(0, m.Left))
		case m.Event == Deleted:
			l.Lives = append(l.Lives, between(from, m.Left))
			from = -1
		case m.Event == Held || m.Event == Updated && from < 0:
			from = 0
		case from < 0:
			from = m.Left
		}
	}
	if from >= 0 {
		l.Lives = append(l.Lives, between(from, 100))
	}
}

// ticks name the revisions along the axis, with their times.
func (p *page) ticks(clock *Clock) {
	const most = 5
	var last int64 = -1
	for i := range int64(most) {
		rev := p.First + (p.Last-p.First)*i/(most-1)
		if rev == last || len(p.Steps) == 0 {
			continue
		}
		last = rev
		tick := fmt.Sprintf("revision %d", rev)
		if clock != nil {
			if m := clock.Time(rev); m.Known() {
				tick += m.Time().UTC().Format(", 15:04:05")
			}
		}
		p.Ticks = append(p.Ticks, tick)
	}
}

func pageStepOf(step *Step, n int, showSecrets bool) (pageStep, error) {
	const most = 5
	s := pageStep{
		ID: fmt.Sprintf("c%d", n), Name: (&Object{Key: step.Key, Namespace: step.Key.Namespace, Name: step.Key.Name}).String(),
		Revision: strings.TrimPrefix(step.Place(), "revision "), When: step.When.String(), Event: step.Event, Gap: step.Gap, By: "unknown",
	}
	var authors []string
	for _, a := range step.By() {
		authors = append(authors, a.String())
	}
	if len(authors) > 0 {
		s.By = strings.Join(authors, ", ")
	}
	if step.After != nil {
		for _, problem := range step.After.Problems {
			s.Problems = append(s.Problems, problem.String())
		}
	}
	if step.Event == Updated || step.Event == Attempted {
		fields := step.Fields(showSecrets)
		for _, f := range fields[:min(most, len(fields))] {
			s.Fields = append(s.Fields, f.String())
		}
		s.More = max(0, len(fields)-most)
	}
	text, err := step.Unified(showSecrets)
	if err != nil {
		return s, err
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if line != "" {
			s.Diff = append(s.Diff, diffLine{line[:1], line})
		}
	}
	return s, nil
}
