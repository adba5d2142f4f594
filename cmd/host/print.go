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

func document(plan *host.Plan) planDocument {
	return planDocument{APIVersion: "lifeboat/v1", Kind: "HostPlan", Plan: plan}
}

// printPlan is --dry-run.
func (s *session) printPlan(plan *host.Plan) error {
	if s.env.Format != console.FormatTable {
		return s.env.PrintDocument(document(plan))
	}
	out := console.NewSection(s.env)
	out.Line("Plan of %s, on %s (nothing is changed):", plan.Verb, console.Printable(s.root.Dir()))
	for i, step := range plan.Steps {
		out.Line("%3d. %s", i+1, console.Printable(step.String()))
		out.Line("       why:  %s", console.Printable(step.Why))
		out.Line("       undo: %s", console.Printable(step.Undo))
		for line := range strings.Lines(step.Diff) {
			out.Line("       %s", console.Printable(strings.TrimSuffix(line, "\n")))
		}
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
	printList(out, "Kept", doc.Kept)
	printList(out, "Next", doc.Next)
	return out.Err
}
