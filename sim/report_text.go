package sim

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteMarkdown writes the report for people, as Markdown that reads well as
// plain text.
func (r *Report) WriteMarkdown(w io.Writer) error {
	p := &printer{w: w}
	s := r.Scenario
	p.line("# %s: %s", s.Title, r.Verdict)
	p.line("")
	if r.Reason != "" {
		p.line("%s", r.Reason)
		for _, more := range r.Run.Reasons[min(1, len(r.Run.Reasons)):] {
			p.line("- %s", cell(more))
		}
		p.line("")
	}
	if s.Document != "" {
		p.line("Rehearses: %s", s.Document)
	}
	p.line("Drill %s (sha256 %s), engine %s, %d seeds, %d of them not met", s.Name, short(s.Digest), r.Engine, len(r.Seeds), len(r.Failed()))
	if !r.Started.IsZero() {
		p.line("Started %s", r.Started.Format("2006-01-02 15:04:05 UTC"))
	}
	for _, name := range []string{"lifeboat", "etcd", "raft", "kubernetes", "go"} {
		if v := r.Versions[name]; v != "" {
			p.line("%s %s", name, v)
		}
	}
	if r.RTO != nil {
		p.line("")
		p.line("Time to recover: %s at least, %s in the middle, %s for 99 of 100, %s at most", seconds(r.RTO.Min), seconds(r.RTO.Median), seconds(r.RTO.P99), seconds(r.RTO.Max))
	}
	if l := r.RPO; l != nil && len(r.Seeds) > 1 {
		p.line("")
		p.line("Acknowledged writes lost, at most: %s; some in %d of %d seeds", l, l.Seeds, l.Of)
	}
	if groups := r.Causes(); len(r.Seeds) > 1 && len(groups) > 0 {
		p.line("")
		p.line("| not met for | seeds | which |")
		p.line("|---|---|---|")
		for _, g := range groups {
			p.line("| %s | %d | %s |", cell(g.Cause), len(g.Seeds), g.Some())
		}
	}
	r.Run.markdown(p)
	if r.Shrunk != nil {
		p.line("")
		p.line("## What is left of the drill when it still deviates that way")
		p.line("")
		for line := range strings.Lines(string(r.Shrunk)) {
			p.line("    %s", strings.TrimRight(line, "\n"))
		}
	}
	if r.Replay != "" {
		p.line("")
		p.line("This run again: `%s`", r.Replay)
	}
	return p.err
}

func (run *Run) markdown(p *printer) {
	p.line("")
	p.line("## Seed %d: %s", run.Seed, run.Verdict)
	p.line("")
	p.line("| step | expected | observed | when | |")
	p.line("|---|---|---|---|---|")
	checks := func(name string, checks []Check) {
		for _, c := range checks {
			p.line("| %s | %s | %s | %s | %s |", cell(name), cell(c.Expected), cell(c.Observed), seconds(c.At), word(c.Met))
		}
	}
	checks("steady before", run.Before)
	for _, step := range run.Steps {
		for _, d := range step.Done {
			result := "done"
			if d.Error != "" {
				result = d.Error
			}
			p.line("| %s | *%s* | %s | %s | |", cell(step.Name), cell(d.Action), cell(result), seconds(d.At))
		}
		checks(step.Name, step.Checks)
	}
	checks("steady after", run.After)
	p.line("")
	if run.Basis != nil {
		run.losses(p)
		return
	}
	if run.RTO != nil {
		p.line("RTO %s: %s to detect, %s to decide, %s to restore", seconds(run.RTO.Total), seconds(run.RTO.Detect), seconds(run.RTO.Decide), seconds(run.RTO.Restore))
	}
	if run.RPOUnknown {
		p.line("RPO unknown: %s", LossUnknown)
	}
	if run.RPO != nil {
		p.line("RPO %d acknowledged writes lost%s", *run.RPO, lostNames(run.Tally.LostKeys))
	}
	for _, text := range run.Objects.lines() {
		p.line("%s", cell(text))
	}
	p.line("Writes: %d sent, %d acknowledged, %d refused or unanswered", run.Tally.Sent, run.Tally.Acknowledged, run.Tally.Failed)
	if len(run.Checked) > 0 {
		p.line("Invariants held to: %s", joined(run.Checked))
	} else {
		p.line("Invariants: NOT checked%s", because(len(run.Unchecked) == 0, ": the drill lists none under always"))
	}
	if len(run.Unchecked) > 0 {
		p.line("Invariants that this engine cannot see, and that are NOT judged: %s", joined(run.Unchecked))
	}
}

func because(is bool, why string) string {
	if is {
		return why
	}
	return ""
}

func joined(list []Invariant) string {
	parts := make([]string, len(list))
	for i, inv := range list {
		parts[i] = string(inv)
	}
	return strings.Join(parts, ", ")
}

func lostNames(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return ": " + strings.Join(keys, ", ")
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "**deviated**"
}

// cell escapes what would end a cell of a Markdown table or a line.
func cell(text string) string {
	quoted := strconv.Quote(text)
	text = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return strings.ReplaceAll(text, "|", `\|`)
}

func short(digest string) string { return digest[:min(12, len(digest))] }

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
