package host

import (
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// planDocument is a plan in JSON.
type planDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	*host.Plan
}

// printPlan is --dry-run.
func (s *session) printPlan(plan *host.Plan) error {
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(planDocument{"lifeboat/v1", "HostPlan", plan})
	}
	out := console.NewSection(s.env)
	out.Line("Plan of %s, on %s (nothing is changed):", plan.Verb, console.Printable(s.root.Dir()))
	for _, line := range plan.Lines() {
		out.Line("%s", console.Printable(line))
	}
	printList(out, "Notes", plan.Notes)
	printList(out, "Afterwards", plan.Next)
	return out.Err
}

func printList(out *console.Section, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	out.Heading(heading)
	for _, text := range lines {
		for line := range strings.Lines(text) {
			out.Line("  %s", console.Printable(strings.TrimSuffix(line, "\n")))
		}
	}
}

// printUndo is --dry-run of an undo.
func (s *session) printUndo(run *host.Run, steps []string) error {
	p := run.Plan
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(runDocument{APIVersion: "lifeboat/v1", Kind: "HostUndoPlan", ID: p.ID, Verb: p.Verb, Member: p.Member, Status: run.Status(), Steps: steps, Kept: []string{}, Next: []string{}})
	}
	out := console.NewSection(s.env)
	out.Line("Undo of %s, run %s (nothing is changed):", p.Verb, p.ID)
	for _, step := range steps {
		out.Line("  %s", console.Printable(step))
	}
	return out.Err
}

// runDocument is a run in JSON.
type runDocument struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	ID         string      `json:"id"`
	Verb       string      `json:"verb"`
	Member     string      `json:"member"`
	Status     host.Status `json:"status"`
	Steps      []string    `json:"steps"`
	Kept       []string    `json:"kept"` // where what was replaced is
	Next       []string    `json:"next"`
}

// printRun says what was done, where the old things are, and what comes next.
func (s *session) printRun(run *host.Run, word string) error {
	p := run.Plan
	doc := runDocument{
		APIVersion: "lifeboat/v1", Kind: "HostRun", ID: p.ID, Verb: p.Verb, Member: p.Member, Status: run.Status(),
		Steps: []string{}, Kept: run.Kept(), Next: []string{},
	}
	for _, step := range p.Steps {
		doc.Steps = append(doc.Steps, step.String())
	}
	if run.Status() == host.Done {
		doc.Next = p.Next
	}
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(doc)
	}
	out := console.NewSection(s.env)
	of := ""
	if p.Member != "" {
		of = " for member " + console.Printable(p.Member)
	}
	out.Line("%s %s%s: %d steps (run %s)", p.Verb, word, of, len(p.Steps), p.ID)
	printList(out, "Kept", run.KeptLines())
	printList(out, "Next", doc.Next)
	return out.Err
}
