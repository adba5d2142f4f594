package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ExtractReport is what an extraction did, object by object, for machines.
// It carries paths, rules and digests; no value of any object, and no uid.
type ExtractReport struct {
	APIVersion string         `json:"apiVersion"` // lifeboat/v1
	Kind       string         `json:"kind"`       // ExtractReport
	Source     ReportSource   `json:"source"`
	Profile    Profile        `json:"profile"`
	Summary    ReportSummary  `json:"summary"`
	Objects    []ReportObject `json:"objects"` // in the order of creation

	// NodeCommands are kubectl commands that give Nodes, which register themselves,
	// back what a person set on them.
	NodeCommands []string `json:"nodeCommands"`

	LeftOut []ReportLeft `json:"leftOut"`
	Rules   []ReportRule `json:"rules"` // those that were at work

	Closure *ReportClosure `json:"closure,omitempty"`
}

// ReportSource is where the objects come from.
type ReportSource struct {
	Path     string `json:"path"`
	Form     string `json:"form"`             // what the source is: "archive", "snapshot", …
	SHA256   string `json:"sha256,omitempty"` // of the source's bytes
	Revision int64  `json:"revision"`         // etcd revision that was read
	Engine   string `json:"engine"`           // "direct" or "etcd"
}

// ReportSummary counts.
type ReportSummary struct {
	Objects      int `json:"objects"`      // looked at
	Written      int `json:"written"`      // have a manifest
	LeftOut      int `json:"leftOut"`      // by a rule of the profile
	Missing      int `json:"missing"`      // for another reason
	Fields       int `json:"fields"`       // dropped or changed
	WithProblems int `json:"withProblems"` // written, but not all of it could be read
}

// ReportRef names an object.
type ReportRef struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Namespace  string    `json:"namespace,omitempty"`
	Name       string    `json:"name"`
	Key        string    `json:"key"` // in etcd
	Problems   []Problem `json:"problems,omitempty"`
}

// ReportObject is an object that was written.
type ReportObject struct {
	ReportRef
	File   string `json:"file"`
	Exists bool   `json:"exists,omitempty"` // to be applied, not created

	Collides bool   `json:"collides,omitempty"` // with the original of a clone: to be renamed
	Wake     string `json:"wake,omitempty"`     // the command that wakes what was suspended

	Changes []Change `json:"changes"`
	Notes   []string `json:"notes,omitempty"`
}

// ReportLeft is an object that was not written.
type ReportLeft struct {
	ReportRef
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	ByRule bool   `json:"byRule"` // false: asked for and missing
}

// ReportRule explains a rule.
type ReportRule struct {
	ID     string `json:"id"`
	Why    string `json:"why"`
	Source string `json:"source"`
}

// NewReport puts a plan into the form of a report.
func NewReport(plan *Plan, source ReportSource) *ExtractReport {
	r := &ExtractReport{
		APIVersion: "lifeboat/v1", Kind: "ExtractReport", Source: source, Profile: plan.Profile,
		Objects: []ReportObject{}, LeftOut: []ReportLeft{}, Rules: []ReportRule{}, NodeCommands: []string{},
	}
	// A Node that was read once can be read again; what cannot is among the problems.
	if commands, err := plan.NodeCommands(); err == nil {
		r.NodeCommands = append(r.NodeCommands, commands...)
	}
	used := map[string]bool{}
	for _, m := range plan.Manifests {
		o := ReportObject{ReportRef: refOf(m.Object), File: m.File, Exists: m.Exists, Collides: m.Collides, Wake: m.Wake, Changes: m.Changes, Notes: m.Notes}
		if o.Changes == nil {
			o.Changes = []Change{} // [] in JSON
		}
		r.Objects = append(r.Objects, o)
		for _, c := range m.Changes {
			used[c.Rule] = true
		}
		r.Summary.Written++
		r.Summary.Fields += len(m.Changes)
		if len(m.Object.Problems) > 0 {
			r.Summary.WithProblems++
		}
	}
	for _, l := range plan.LeftOut {
		r.LeftOut = append(r.LeftOut, ReportLeft{ReportRef: refOf(l.Object), Rule: l.Rule, Reason: l.Reason, ByRule: l.ByRule})
		used[l.Rule] = true
		if l.ByRule {
			r.Summary.LeftOut++
		} else {
			r.Summary.Missing++
		}
	}
	r.Summary.Objects = len(plan.Manifests) + len(plan.LeftOut)
	for _, rule := range append(ruleTable(), optionalRules()...) {
		if used[rule.ID] {
			r.Rules = append(r.Rules, ReportRule{ID: rule.ID, Why: rule.Why, Source: rule.Source})
		}
	}
	return r
}

func refOf(o *Object) ReportRef {
	apiVersion, kind := o.GVK.ToAPIVersionAndKind()
	return ReportRef{APIVersion: apiVersion, Kind: kind, Namespace: o.Namespace, Name: o.Name, Key: o.Key.Path, Problems: o.Problems}
}

// Encode writes the report as indented JSON.
func (r *ExtractReport) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// SummaryLine is one line about an extraction for people.
type SummaryLine struct {
	Severity Severity
	Text     string
}

// Severity says how much a line matters.
type Severity string

// The severities.
const (
	Info    Severity = "info"
	Detail  Severity = "detail"  // of use to who wants to know why; the report has it as well
	Warning Severity = "warning" // the manifest is there; something about it has to be known
	Missing Severity = "missing" // asked for, and not there or not whole
)

// Summary is what an operator has to know about the plan: one line of what was
// written, the rules that left something out, what was being deleted, the
// notes, and each object that is missing. The same note about several objects
// is one line.
func (p *Plan) Summary() []SummaryLine {
	byRule, missing, fields := map[string]int{}, p.Missing(), 0
	for _, l := range p.LeftOut {
		if l.ByRule {
			byRule[l.Rule]++
		}
	}
	for _, m := range p.Manifests {
		fields += len(m.Changes)
	}
	lines := []SummaryLine{{Info, fmt.Sprintf("%d objects written, %d fields dropped or changed; %d objects left out by rule, %d missing",
		len(p.Manifests), fields, len(p.LeftOut)-len(missing), len(missing))}}
	why := map[string]string{}
	for _, r := range ruleTable() {
		why[r.ID] = r.Why
	}
	for _, id := range slices.Sorted(maps.Keys(byRule)) {
		lines = append(lines, SummaryLine{Detail, fmt.Sprintf("left out by rule %s: %d (%s)", id, byRule[id], why[id])})
	}
	var warnings grouped
	for _, l := range p.LeftOut {
		if l.Rule == beingDeleted {
			warnings.add(l.Reason, l.Object)
		}
	}
	for _, m := range p.Manifests {
		for _, note := range m.Notes {
			warnings.add(note, m.Object)
		}
	}
	lines = append(lines, warnings.lines()...)
	for _, m := range p.Manifests {
		for _, problem := range m.Object.Problems {
			lines = append(lines, SummaryLine{Missing, fmt.Sprintf("%s: %s", quoted(m.Object), problem)})
		}
	}
	for _, l := range missing {
		lines = append(lines, SummaryLine{Missing, fmt.Sprintf("%s: left out: %s", quoted(l.Object), l.Reason)})
	}
	return lines
}

// grouped are texts with the objects that they are about, in the order in
// which they were first said.
type grouped struct {
	texts []string
	about map[string][]string
}

func (g *grouped) add(text string, o *Object) {
	if g.about == nil {
		g.about = map[string][]string{}
	}
	if _, said := g.about[text]; !said {
		g.texts = append(g.texts, text)
	}
	g.about[text] = append(g.about[text], quoted(o))
}

func (g *grouped) lines() []SummaryLine {
	const most = 3
	lines := make([]SummaryLine, 0, len(g.texts))
	for _, text := range g.texts {
		names := g.about[text]
		who := strings.Join(names[:min(most, len(names))], ", ")
		if more := len(names) - most; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, SummaryLine{Warning, who + ": " + text})
	}
	return lines
}

// quoted names an object for a terminal: names that would move its cursor, or
// look like something else, are escaped.
func quoted(o *Object) string {
	name := o.String()
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' && r != ' ' || r > '~' }) {
		return fmt.Sprintf("%q", name)
	}
	return name
}
