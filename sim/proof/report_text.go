package proof

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// listed bounds the lists of the reports for people; report.json has all.
const listed = 50

// WriteMarkdown writes the report for people, as Markdown that reads well as
// plain text.
func (r *Report) WriteMarkdown(w io.Writer) error {
	p := &lines{w: w}
	p.line("# %s: %s", cell(r.Source.Path), r.Verdict)
	p.line("")
	if r.Reason != "" {
		p.line("%s", cell(r.Reason))
		p.line("")
	}
	p.line("Started %s, in %s", r.Started.Format("2006-01-02 15:04:05 UTC"), r.Way)
	p.line("From the backup to a ready API server: %s", seconds(r.Recovery()))
	for _, text := range r.Weaker {
		p.line("- weaker: %s", cell(text))
	}
	p.line("")
	p.line("| step | took | |")
	p.line("|---|---|---|")
	for _, s := range r.Steps {
		p.line("| %s | %s | %s |", s.Name, seconds(s.Took), cell(s.outcome()))
	}
	p.line("")
	p.line("| checked | result | |")
	p.line("|---|---|---|")
	for _, c := range r.Checks {
		p.line("| %s | %s | %s |", cell(c.Name), c.State(), cell(c.Detail))
	}
	r.markdownLists(p)
	p.line("")
	p.line("## Evidence")
	p.line("")
	for _, row := range r.evidence() {
		p.line("- %s: %s", row[0], cell(row[1]))
	}
	return p.err
}

func (r *Report) markdownLists(p *lines) {
	for _, l := range r.lists() {
		p.line("")
		p.line("## %s", l.Title)
		p.line("")
		for _, item := range l.Items {
			p.line("- %s", cell(item))
		}
	}
	if len(r.Resources) == 0 {
		return
	}
	p.line("")
	p.line("## Resources")
	p.line("")
	p.line("| resource | stored | served | same | compared whole |")
	p.line("|---|---|---|---|---|")
	for _, n := range r.shown() {
		p.line("| %s | %d | %d | %d | %d |", cell(n.Resource), n.Stored, n.Served, n.Same, n.Compared)
	}
}

// shown are the resources of which there is anything.
func (r *Report) shown() []ResourceCount {
	return slices.DeleteFunc(slices.Clone(r.Resources), func(n ResourceCount) bool { return n.Stored == 0 && n.Served == 0 })
}

// list is a list of the report, cut to what people read.
type list struct {
	Title string
	Items []string
}

func (r *Report) lists() (all []list) {
	add := func(title string, items []string) {
		if len(items) == 0 {
			return
		}
		if more := len(items) - listed; more > 0 {
			items = append(slices.Clone(items[:listed]), fmt.Sprintf("and %d more, in report.json", more))
		}
		all = append(all, list{title, items})
	}
	var differ, unserved, writes []string
	for _, d := range r.Differing {
		differ = append(differ, d.Object+": "+strings.Join(d.Paths, ", "))
	}
	for _, n := range r.NotServed {
		unserved = append(unserved, fmt.Sprintf("%s: %d: %s", n.Resource, n.Stored, n.Why))
	}
	for _, w := range r.OwnWrites {
		writes = append(writes, fmt.Sprintf("%s %s: %s", w.Object, w.What, w.Why))
	}
	add("Missing", r.Missing)
	add("Unreadable", r.Unreadable)
	add("Unexpected", r.Unexpected)
	add("Differing", differ)
	add("Stored but not served", unserved)
	add("Not provable here", r.NotProvable)
	add("Written by the server itself", writes)
	if ran := r.Controllers; ran != nil {
		var deleted []string
		for _, w := range ran.Deleted {
			deleted = append(deleted, fmt.Sprintf("%s %s: %s", w.Object, w.What, w.Why))
		}
		add("Deleted without an explanation", ran.Unexplained)
		add("Deleted by controllers", deleted)
		add("Jobs that CronJobs have started", ran.Jobs)
		add("Nodes that are not ready", ran.NotReady)
		add("Written by controllers", ran.Writes)
	}
	return all
}

// evidence is what was proven with what.
func (r *Report) evidence() [][2]string {
	rows := [][2]string{{"source", fmt.Sprintf("%s, %s, revision %d", r.Source.Path, r.Source.Kind, r.Source.Revision)}}
	if r.Source.SHA256 != "" {
		rows = append(rows, [2]string{"sha256 of the source", r.Source.SHA256})
	}
	if r.Source.Cluster != "" {
		rows = append(rows, [2]string{"cluster", r.Source.Cluster})
	}
	for _, program := range r.Programs {
		text := fmt.Sprintf("%s (%s)", program.Version, program.Found)
		if program.SHA256 != "" {
			text += ", sha256 " + program.SHA256
		}
		rows = append(rows, [2]string{program.Name, text})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		rows = append(rows, [2]string{name, r.Versions[name]})
	}
	return append(rows, [2]string{"seed of the sample", strconv.FormatUint(r.Seed, 10)})
}

func (s Step) outcome() string {
	if s.Failed {
		return "failed"
	}
	return s.Detail
}

// WriteJUnit writes steps and checks as test cases. What makes a backup that
// cannot start is an error, what is listed a failure.
func (r *Report) WriteJUnit(w io.Writer) error {
	var cases []sim.Case
	var took time.Duration
	for _, s := range r.Steps {
		took += s.Took
		c := sim.Case{Name: s.Name, Took: sim.Duration(s.Took)}
		if s.Failed {
			c.Broken = r.Reason
		}
		cases = append(cases, c)
	}
	for _, check := range r.Checks {
		c := sim.Case{Name: check.Name}
		switch check.State() {
		case lifeboat.StateBad:
			c.Broken = check.Detail
		case lifeboat.StateMismatch:
			c.Failed = check.Detail
		case lifeboat.StateNotChecked:
			c.Skipped = check.Detail
		case lifeboat.StateGood, lifeboat.StateNote:
		}
		cases = append(cases, c)
	}
	return sim.WriteCases(w, "prove", "lifeboat.prove", sim.Duration(took), cases)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }

// cell escapes what would end a cell of a Markdown table or a line.
func cell(text string) string {
	quoted := strconv.Quote(text)
	text = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return strings.ReplaceAll(text, "|", `\|`)
}

// lines keeps the first error.
type lines struct {
	w   io.Writer
	err error
}

func (p *lines) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
