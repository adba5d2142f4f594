package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Encode writes s as a drill file that Load reads back: how a drill that was
// shrunk is handed on. Comments of the file it came from are gone.
func Encode(s *Scenario) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("apiVersion: %s\nkind: %s\ntitle: %s", APIVersion, s.Kind, flow(s.Title))
	if s.Why != "" {
		line("why: %s", flow(s.Why))
	}
	if s.Document != "" {
		line("document: %s", flow(s.Document))
	}
	line("engine: %s", flow(s.Engines))
	g := s.Given
	if s.onNodes() {
		if g.Backup != "" {
			line("given: {backup: %s}", flow(g.Backup))
		}
		encodeSteps(line, s.Steps)
		return b.Bytes()
	}
	line("seeds: %d..%d", s.Seeds.First, s.Seeds.Last)
	line("given: {members: %d, learners: %d, tick: %s, election: %s, latency: %s, spread: %s, sync: %s, prevote: %t, load: {writes: %d/s, reads: %d/s, clients: %d}%s%s}",
		g.Members, g.Learners, g.Tick, g.Election, g.Latency, g.Spread, g.Sync, g.PreVote, g.Load.Writes, g.Load.Reads, g.Load.Clients,
		field(", quota: ", g.Quota, g.Quota > 0), field(", backup: ", g.Backup, g.Backup != ""))
	line("steady: %s", expectationsFlow(s.Steady))
	encodeSteps(line, s.Steps)
	if len(s.Always) > 0 {
		line("always: %s", flow(s.Always))
	}
	line("stop-when: {time: %s}", s.Stop)
	if m := s.Measure; m.From != "" || m.RPO {
		var parts []string
		if m.From != "" {
			parts = append(parts, fmt.Sprintf("rto: {from: %s, until: %s}", flow(m.From), flow(m.Until)))
		}
		if m.RPO {
			parts = append(parts, "rpo: acked-writes-lost")
		}
		line("measure: {%s}", strings.Join(parts, ", "))
	}
	if e := s.Expect; e.RTO != nil || e.RPO != nil {
		var parts []string
		if e.RTO != nil {
			parts = append(parts, fmt.Sprintf("rto: {max: %s}", e.RTO))
		}
		if e.RPO != nil {
			parts = append(parts, fmt.Sprintf("rpo: {max: %d}", *e.RPO))
		}
		line("expect: {%s}", strings.Join(parts, ", "))
	}
	return b.Bytes()
}

func encodeSteps(line func(format string, args ...any), steps []Step) {
	line("steps:")
	for _, step := range steps {
		line("  - {name: %s%s%s%s%s%s}", flow(step.Name),
			field(", at: ", step.At, step.At != nil), field(", after: ", step.After, step.After != ""), field(", wait: ", step.Wait, step.Wait > 0),
			optional(", do: ", actionsFlow(step.Do), len(step.Do) > 0), optional(", expect: ", expectationsFlow(step.Expect), len(step.Expect) > 0))
	}
}

// flow is v as JSON, which YAML reads.
func flow(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and lists of them
	}
	return string(out)
}

func field(name string, v any, present bool) string {
	if !present {
		return ""
	}
	return name + flow(v)
}

func optional(name, text string, present bool) string {
	if !present {
		return ""
	}
	return name + text
}

func actionsFlow(actions []Action) string {
	parts := make([]string, len(actions))
	for i, a := range actions {
		fields := field("members: ", a.Targets, len(a.Targets) > 0) + field(", from: ", a.Against, len(a.Against) > 0) +
			field(", by: ", a.By, a.By > 0) + field(", rate: ", a.Rate, a.Rate > 0) + field(", entries: ", a.Entries, a.Entries > 0) +
			field(", bytes: ", flow(a.Bytes), a.Bytes > 0) + field(", bump-revision: ", a.BumpRevision, a.BumpRevision != nil)
		switch fields = strings.TrimPrefix(fields, ", "); {
		case fields == "":
			parts[i] = "{" + string(a.Verb) + ": all}"
			if verbs()[a.Verb].members == "" {
				parts[i] = string(a.Verb)
			}
		case a.Verb == Wait:
			parts[i] = "{wait: " + a.By.String() + "}"
		default:
			parts[i] = "{" + string(a.Verb) + ": {" + fields + "}}"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func expectationsFlow(list []Expectation) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = "{" + string(e.Subject) + ": " + flow(e.Value) + field(", is: ", e.Is, e.Is != "") + field(", with: ", e.With, e.With != "") +
			field(", namespace: ", e.Namespace, e.Namespace != "") + field(", serializable: ", e.Serializable, e.Serializable) +
			field(", on: ", e.On, len(e.On) > 0) + field(", within: ", e.Within, e.Within > 0) + field(", for: ", e.For, e.For > 0) + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
