package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (l *loader) steps(node *yaml.Node) []Step {
	if node == nil {
		return nil
	}
	var out []Step
	for i, item := range items(node) {
		f := l.fields(item, "a step", "name", "at", "after", "wait", "do", "expect")
		s := Step{Name: l.text(f["name"], "name"), After: l.text(f["after"], "after"), Wait: l.duration(f["wait"], "wait", 0), line: item.Line}
		if s.Name == "" {
			s.Name = "step " + strconv.Itoa(i+1)
		}
		if f["at"] != nil {
			at := l.duration(f["at"], "at", 0)
			s.At = &at
		}
		if s.At != nil && (s.After != "" || s.Wait > 0) {
			l.fail(item.Line, "", "step %q has both a time and a step that it comes after", s.Name)
		}
		if f["do"] != nil {
			for _, action := range items(f["do"]) {
				s.Do = append(s.Do, l.action(action))
			}
		}
		s.Expect = l.expectations(f["expect"])
		if len(s.Do) == 0 && len(s.Expect) == 0 {
			l.fail(item.Line, "", "step %q does nothing and expects nothing", s.Name)
		}
		out = append(out, s)
	}
	return l.order(out)
}

// order sorts steps so that each comes after those it has to wait for, and
// else in the order of the file.
func (l *loader) order(steps []Step) []Step {
	byName := map[string]int{}
	for i, s := range steps {
		if _, twice := byName[s.Name]; twice {
			l.fail(s.line, "", "two steps have the name %q", s.Name)
		}
		byName[s.Name] = i
	}
	const (
		unseen = iota
		open
		done
	)
	state, sorted := make([]int, len(steps)), make([]Step, 0, len(steps))
	var visit func(i int, path []string)
	visit = func(i int, path []string) {
		s := steps[i]
		switch state[i] {
		case done:
			return
		case open:
			l.fail(s.line, "", "steps wait for each other in a circle: %s", strings.Join(append(path, s.Name), " after "))
			return
		}
		state[i] = open
		if s.After != "" {
			if j, ok := byName[s.After]; ok {
				visit(j, append(path, s.Name))
			} else {
				l.fail(s.line, nearestWord(s.After, slices.Collect(maps.Keys(byName))), "step %q comes after %q, which is not a step", s.Name, s.After)
			}
		}
		state[i] = done
		sorted = append(sorted, s)
	}
	for i := range steps {
		visit(i, nil)
	}
	return sorted
}

// action reads {verb: members} or {verb: {members: ..., by: ...}}.
func (l *loader) action(node *yaml.Node) Action {
	table := verbs()
	known := make([]string, 0, len(table))
	for verb := range table {
		known = append(known, string(verb))
	}
	a := Action{line: node.Line}
	if node.Kind == yaml.ScalarNode { // `do: heal`
		a.Verb = Verb(l.word(node, "an action", known...))
		if facts, ok := table[a.Verb]; ok && facts.members != "" {
			l.fail(node.Line, "", "%s needs to be told whom: {%s: leader}", a.Verb, a.Verb)
		}
		return a
	}
	f := l.fields(node, "an action", known...)
	if len(f) != 1 {
		if len(node.Content) > 2 {
			l.fail(node.Line, "", "an action is one verb; write a list of actions for more")
		}
		return a
	}
	for verb, value := range f {
		a.Verb = Verb(verb)
		facts := table[a.Verb]
		if value.Kind != yaml.MappingNode {
			l.short(&a, facts, value)
		} else {
			l.long(&a, facts, value)
		}
		l.complete(&a, facts, node.Line)
	}
	return a
}

// short is a verb's plain value: its members, or for wait how long.
func (l *loader) short(a *Action, facts verbFacts, value *yaml.Node) {
	switch {
	case facts.members != "":
		a.Targets = l.selectors(value)
	case a.Verb == Wait:
		a.By = l.duration(value, "wait", 0)
	case value.Tag != "!!null" && value.Value != "all" && value.Value != "true":
		l.fail(value.Line, "", "%s takes nothing", a.Verb)
	}
}

func (l *loader) long(a *Action, facts verbFacts, value *yaml.Node) {
	known := slices.Clone(facts.fields)
	if facts.members != "" {
		known = append([]string{"members"}, known...)
	}
	if len(known) == 0 {
		l.fail(value.Line, "", "%s takes nothing", a.Verb)
		return
	}
	f := l.fields(value, string(a.Verb), known...)
	if f["members"] != nil {
		a.Targets = l.selectors(f["members"])
	}
	if f["from"] != nil {
		a.Against = l.selectors(f["from"])
	}
	a.By = l.duration(f["by"], "by", 0)
	a.Entries = l.number(f["entries"], "entries", "", 0, 1, 1000)
	a.Bytes = l.bytes(f["bytes"], "bytes")
	if f["bump-revision"] != nil {
		bump := l.yes(f["bump-revision"], "bump-revision", true)
		a.BumpRevision = &bump
	}
	if node := f["rate"]; node != nil {
		rate, err := strconv.ParseFloat(l.text(node, "rate"), 64)
		if err != nil || !(rate >= 0 && rate <= 1) {
			l.fail(node.Line, "", "rate is a share from 0 to 1")
		}
		a.Rate = rate
	}
}

// complete checks that nothing is missing that the verb cannot do without.
func (l *loader) complete(a *Action, facts verbFacts, line int) {
	if facts.members != "" && len(a.Targets) == 0 {
		l.fail(line, "", "%s needs to be told whom", a.Verb)
	}
	if facts.members == "one" && len(a.Targets) > 1 {
		l.fail(line, "", "%s takes one member", a.Verb)
	}
	switch a.Verb {
	case Delay, SlowDisk, ClockPause, Wait:
		if a.By == 0 {
			l.fail(line, "", "%s needs `by`, how long", a.Verb)
		}
	case LoseWAL:
		if a.Entries == 0 {
			a.Entries = 1
		}
	case RaiseQuota:
		if a.Bytes == 0 {
			l.fail(line, "", "raise-quota needs `bytes`")
		}
	}
}

func (l *loader) selectors(node *yaml.Node) []Selector {
	var out []Selector
	for _, item := range items(node) {
		if text := l.text(item, "a member"); text != "" {
			out = append(out, Selector(text))
		}
	}
	return out
}

// subjectFacts say what values an expectation's subject takes; nil is any.
func subjectFacts() map[Subject][]string {
	return map[Subject][]string{
		OnLeader: nil, OnTerm: {"same", "changed"}, OnWrite: {"ok", "fails"}, OnRead: {"serializable", "linearizable"},
		OnAction: {"ok", "fails"}, OnMembers: nil, OnVoters: nil, OnLearners: nil, OnStatus: nil,
		OnAlarms: {"none", "NOSPACE", "CORRUPT"}, OnHash: {"equal"}, OnObjects: nil, OnReadOnly: {"true", "false"},
		OnLost: nil, OnRevision: {"ahead", "behind"}, OnPending: nil, OnBack: nil,
	}
}

func (l *loader) expectations(node *yaml.Node) []Expectation {
	if node == nil {
		return nil
	}
	var out []Expectation
	for _, item := range items(node) {
		if e, ok := l.expectation(item); ok {
			out = append(out, e)
		}
	}
	return out
}

func (l *loader) expectation(node *yaml.Node) (Expectation, bool) {
	table := subjectFacts()
	var subjects []string
	for s := range table {
		subjects = append(subjects, string(s))
	}
	slices.Sort(subjects)
	f := l.fields(node, "an expectation", append(subjects, "is", "with", "on", "within", "for", "namespace", "serializable")...)
	e := Expectation{line: node.Line}
	for _, word := range subjects {
		if f[word] == nil {
			continue
		}
		if e.Subject != "" {
			l.fail(node.Line, "", "an expectation looks at one thing, not at %s and %s", e.Subject, word)
		}
		e.Subject = Subject(word)
		if values := table[e.Subject]; values != nil {
			e.Value = l.word(f[word], word, values...)
		} else {
			e.Value = l.text(f[word], word)
		}
	}
	if e.Subject == "" {
		l.fail(node.Line, "it looks at one of: "+strings.Join(subjects, ", "), "an expectation without a measure: nothing in it can be looked at")
		return e, false
	}
	e.Is, e.With = l.word(f["is"], "is", "ok", "fails"), l.text(f["with"], "with")
	if f["on"] != nil {
		e.On = l.selectors(f["on"])
	}
	e.Namespace, e.Serializable = l.text(f["namespace"], "namespace"), l.yes(f["serializable"], "serializable", false)
	e.Within, e.For = l.duration(f["within"], "within", 0), l.duration(f["for"], "for", 0)
	l.sensible(e, node.Line)
	return e, true
}

// sensible refuses what reads like an expectation and says nothing.
func (l *loader) sensible(e Expectation, line int) {
	if e.Value == "" {
		l.fail(line, "", "%s has no value", e.Subject)
	}
	if e.Is != "" && e.Subject != OnRead {
		l.fail(line, "", "`is` belongs to a read")
	}
	if e.Serializable && e.Subject != OnMembers && e.Subject != OnVoters && e.Subject != OnLearners {
		l.fail(line, "", "`serializable` belongs to members, voters and learners")
	}
	fails := e.Value == "fails" || e.Is == "fails"
	if e.With != "" && !fails && e.Subject != OnStatus {
		l.fail(line, "", "`with` is the text of an error, and this expects none")
	}
	if e.Namespace != "" && !e.Subject.onPods() {
		l.fail(line, "", "`namespace` belongs to what looks at Pods")
	}
	if e.Subject.onPods() && (len(e.On) > 0 || e.Within > 0 || e.For > 0) {
		l.fail(line, "", "%s is worked out, not waited for: it takes a namespace alone", e.Subject)
	}
	switch e.Subject {
	case OnPending:
		if n, err := strconv.Atoi(e.Value); err != nil || n < 0 {
			l.fail(line, "", "pending is a number of Pods")
		}
	case OnBack:
		var d Duration
		if err := d.UnmarshalText([]byte(e.Value)); err != nil {
			l.fail(line, "", "back-within is a time, such as 6m")
		}
	case OnMembers, OnVoters, OnLearners:
		if _, err := strconv.Atoi(e.Value); err != nil {
			l.fail(line, "", "%s is a number", e.Subject)
		}
	case OnLost:
		if n, err := strconv.Atoi(e.Value); e.Value != "some" && (err != nil || n < 0) {
			l.fail(line, "", "lost is a number of writes, or some")
		}
	case OnAction:
		if e.Within > 0 || e.For > 0 {
			l.fail(line, "", "an action has one result and is not asked again")
		}
	}
}
