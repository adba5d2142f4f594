package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// What a drill is given when its file does not say.
const (
	defaultTick     = Duration(100 * time.Millisecond)
	defaultElection = Duration(time.Second)
	defaultLatency  = Duration(time.Millisecond)
	defaultSync     = Duration(time.Millisecond)
	defaultStop     = Duration(10 * time.Minute)
	maxStop         = Duration(24 * time.Hour)
	maxFile         = 1 << 20 // bytes of a drill file
	maxSeeds        = 1_000_000
)

// Load reads a drill. name is what messages call it; the drill's own name is
// its last part without the ending. The error joins a *LoadError per mistake,
// each with its line, and is ErrScenario.
func Load(name string, data []byte) (*Scenario, error) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	l := &loader{file: name}
	s := &Scenario{Name: strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml")}
	sum := sha256.Sum256(data)
	s.Digest = hex.EncodeToString(sum[:])
	root, err := l.document(data)
	if err != nil {
		return nil, err
	}
	l.scenario(s, root)
	if len(l.errs) == 0 {
		l.check(s)
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return s, nil
}

// document parses data as one YAML document without anchors: an alias could
// stand for more than the file's size.
func (l *loader) document(data []byte) (*yaml.Node, error) {
	if len(data) > maxFile {
		return nil, &LoadError{File: l.file, Text: fmt.Sprintf("it has %d bytes, and a drill has at most %d", len(data), maxFile)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &LoadError{File: l.file, Text: "it is empty"}
	} else if err != nil {
		return nil, &LoadError{File: l.file, Line: lineIn(err), Text: "it is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, &LoadError{File: l.file, Text: "one file holds one drill; there is a second document in it"}
	}
	if line := aliasIn(&doc); line > 0 {
		return nil, &LoadError{File: l.file, Line: line, Text: "a drill has no anchors and aliases"}
	}
	return doc.Content[0], nil
}

func aliasIn(node *yaml.Node) int {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		return node.Line
	}
	for _, child := range node.Content {
		if line := aliasIn(child); line > 0 {
			return line
		}
	}
	return 0
}

// lineIn finds the line in an error text of the YAML parser.
func lineIn(err error) int {
	_, rest, found := strings.Cut(err.Error(), "line ")
	if !found {
		return 0
	}
	number, _, _ := strings.Cut(rest, ":")
	line, _ := strconv.Atoi(number) // 0 where it is not a number: then there is no line to tell
	return line
}

func (l *loader) scenario(s *Scenario, root *yaml.Node) {
	known := []string{
		"apiVersion", "kind", "title", "why", "document", "engine", "seeds", "given",
		"steady", "steps", "always", "stop-when", "measure", "expect", "stops", "goes-on",
	}
	f := l.fields(root, "a drill", known...)
	if v := l.text(f["apiVersion"], "apiVersion"); v != APIVersion {
		l.fail(lineOf(f["apiVersion"]), "", "apiVersion is %q, and has to be %q", v, APIVersion)
	}
	if s.Kind = l.word(f["kind"], "kind", KindDrill, KindCard); s.Kind == "" {
		l.fail(0, "", "kind is missing: %s or %s", KindDrill, KindCard)
	}
	if s.Title = l.text(f["title"], "title"); s.Title == "" {
		l.fail(0, "", "title is missing")
	}
	s.Why, s.Document = l.text(f["why"], "why"), l.text(f["document"], "document")
	s.Stops, s.GoesOn = l.lines(f["stops"], "stops"), l.lines(f["goes-on"], "goes-on")
	s.Given, s.Stop = l.given(f["given"]), defaultStop
	if s.Kind == KindCard {
		for _, word := range []string{"engine", "seeds", "given", "steady", "steps", "always", "stop-when", "measure", "expect"} {
			if f[word] != nil {
				l.fail(f[word].Line, "", "a card has no %q: nothing is run, so nothing is judged", word)
			}
		}
		s.Given = Given{}
		return
	}
	for _, word := range []string{"stops", "goes-on"} {
		if f[word] != nil {
			l.fail(f[word].Line, "", "%q belongs to a card", word)
		}
	}
	s.Engines, s.Seeds = l.engines(f["engine"]), l.seeds(f["seeds"])
	if s.onNodes() {
		l.nodesOnly(s, f)
		s.Steps = l.steps(f["steps"])
		return
	}
	s.Steady, s.Steps = l.expectations(f["steady"]), l.steps(f["steps"])
	s.Always = l.invariants(f["always"])
	if node := f["stop-when"]; node != nil {
		s.Stop = l.duration(l.fields(node, "stop-when", "time")["time"], "stop-when's time", defaultStop)
	}
	l.targets(s, f["measure"], f["expect"])
}

func lineOf(node *yaml.Node) int {
	if node == nil {
		return 0
	}
	return node.Line
}

func (l *loader) lines(node *yaml.Node, what string) []string {
	if node == nil {
		return nil
	}
	var out []string
	for _, item := range items(node) {
		out = append(out, l.text(item, what))
	}
	return out
}

func (l *loader) engines(node *yaml.Node) []EngineName {
	if node == nil {
		l.fail(0, "", "engine is missing: virtual, embedded, or both; nodes for a drill that loses nodes")
		return nil
	}
	var out []EngineName
	for _, item := range items(node) {
		out = append(out, EngineName(l.word(item, "engine", string(Virtual), string(Embedded), string(Nodes))))
	}
	return out
}

func (l *loader) seeds(node *yaml.Node) Range {
	if node == nil {
		return Range{First: 1, Last: 1}
	}
	r, err := ParseRange(l.text(node, "seeds"))
	if err != nil {
		l.fail(node.Line, "", "seeds: %v", err)
	}
	return r
}

// ParseRange reads "7" or "1..200".
func ParseRange(text string) (Range, error) {
	first, last, isRange := strings.Cut(text, "..")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 64)
	b, errB := strconv.ParseUint(last, 10, 64)
	switch {
	case errA != nil || errB != nil:
		return Range{}, fmt.Errorf("%q is not a range: write 7 or 1..200", text)
	case b < a:
		return Range{}, fmt.Errorf("%q ends before it begins", text)
	case b-a >= maxSeeds:
		return Range{}, fmt.Errorf("%q are more than %d seeds", text, maxSeeds)
	}
	return Range{First: a, Last: b}, nil
}

func (l *loader) given(node *yaml.Node) Given {
	g := Given{
		Members: 3, Tick: defaultTick, Election: defaultElection, Latency: defaultLatency, Sync: defaultSync, PreVote: true,
		Load: Workload{Writes: 50, Clients: 4},
	}
	if node == nil {
		return g
	}
	f := l.fields(node, "given", "members", "learners", "tick", "election", "latency", "spread", "sync", "load", "quota", "prevote", "backup")
	g.Members = l.number(f["members"], "members", "", g.Members, 1, 9)
	g.Learners = l.number(f["learners"], "learners", "", 0, 0, 1)
	g.Tick, g.Election = l.duration(f["tick"], "tick", g.Tick), l.duration(f["election"], "election", g.Election)
	g.Latency, g.Spread = l.duration(f["latency"], "latency", g.Latency), l.duration(f["spread"], "spread", 0)
	g.Sync, g.Quota = l.duration(f["sync"], "sync", g.Sync), l.bytes(f["quota"], "quota")
	g.PreVote, g.Backup = l.yes(f["prevote"], "prevote", true), l.text(f["backup"], "backup")
	if node := f["load"]; node != nil {
		load := l.fields(node, "load", "writes", "reads", "clients")
		g.Load.Writes = l.number(load["writes"], "writes", "/s", g.Load.Writes, 0, 1000)
		g.Load.Reads = l.number(load["reads"], "reads", "/s", 0, 0, 1000)
		g.Load.Clients = l.number(load["clients"], "clients", "", g.Load.Clients, 1, 64)
	}
	// etcd's own rules: server/embed/config.go, Config.Validate.
	switch {
	case g.Tick < Duration(time.Millisecond):
		l.fail(lineOf(f["tick"]), "", "tick is at least 1ms")
	case g.Election < 5*g.Tick:
		l.fail(lineOf(f["election"]), "", "election %s is less than 5 ticks of %s: etcd refuses that", g.Election, g.Tick)
	case g.Election > Duration(50*time.Second):
		l.fail(lineOf(f["election"]), "", "election %s is above 50s: etcd refuses that", g.Election)
	}
	return g
}

func (l *loader) invariants(node *yaml.Node) []Invariant {
	if node == nil {
		return nil
	}
	var known []string
	for _, i := range AllInvariants() {
		known = append(known, string(i))
	}
	var out []Invariant
	for _, item := range items(node) {
		out = append(out, Invariant(l.word(item, "an invariant", known...)))
	}
	return out
}

// AllInvariants are the invariants there are.
func AllInvariants() []Invariant {
	return []Invariant{
		OneLeaderPerTerm, LogMatching, LeaderCompleteness, CommittedAgree, CommitOnQuorum,
		AckedWritesSurvive, AppliedMonotone, StatesAgree, Linearizable,
	}
}

// targets reads measure and expect. A target without its measure is refused:
// it would always be met.
func (l *loader) targets(s *Scenario, measure, expect *yaml.Node) {
	if measure != nil {
		f := l.fields(measure, "measure", "rto", "rpo")
		if f["rto"] != nil {
			rto := l.fields(f["rto"], "measure's rto", "from", "until")
			s.Measure.From, s.Measure.Until = l.text(rto["from"], "from"), l.text(rto["until"], "until")
			if s.Measure.From == "" || s.Measure.Until == "" {
				l.fail(f["rto"].Line, "", "rto is measured from a step until a step, or until steady")
			}
		}
		s.Measure.RPO = l.word(f["rpo"], "measure's rpo", "acked-writes-lost") != ""
	}
	if expect == nil {
		return
	}
	f := l.fields(expect, "expect", "rto", "rpo")
	if f["rto"] != nil {
		limit := l.duration(l.fields(f["rto"], "expect's rto", "max")["max"], "max", 0)
		s.Expect.RTO = &limit
		if s.Measure.From == "" {
			l.fail(f["rto"].Line, "add measure: {rto: {from: STEP, until: steady}}", "rto is expected and not measured")
		}
	}
	if f["rpo"] != nil {
		limit := l.number(l.fields(f["rpo"], "expect's rpo", "max")["max"], "max", "", 0, 0, 1<<30)
		s.Expect.RPO = &limit
		if !s.Measure.RPO {
			l.fail(f["rpo"].Line, "add measure: {rpo: acked-writes-lost}", "rpo is expected and not measured")
		}
	}
}
