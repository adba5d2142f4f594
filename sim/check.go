package sim

import (
	"regexp"
	"slices"
	"strconv"
)

var memberName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// check holds what can only be seen in the whole drill.
func (l *loader) check(s *Scenario) {
	if s.Kind == KindCard {
		if len(s.Stops) == 0 || len(s.GoesOn) == 0 {
			l.fail(0, "", "a card says what stops and what goes on")
		}
		return
	}
	if len(s.Steps) == 0 {
		l.fail(0, "", "there are no steps")
	}
	if s.onNodes() {
		l.checkEngines(s)
		l.checkNodes(s)
		return
	}
	if len(s.Steady) == 0 {
		l.fail(0, "add steady: [{leader: exactly-one}]", "steady is missing: nothing says that the cluster was well before")
	}
	if s.Stop == 0 || s.Stop > maxStop {
		l.fail(0, "", "stop-when's time is above 0 and at most %s", maxStop)
	}
	l.checkEngines(s)
	l.checkTimes(s)
	l.checkMembers(s)
	l.checkMeasures(s)
}

// checkEngines refuses a drill that asks an engine for what it cannot do.
func (l *loader) checkEngines(s *Scenario) {
	for _, engine := range s.Engines {
		if engine == Virtual && s.Given.Backup != "" {
			l.fail(0, "", "the virtual engine cannot start from a backup: its keys have no values")
		}
		for _, step := range s.Steps {
			for _, a := range step.Do {
				if !a.Verb.Can(engine) {
					l.fail(a.line, "", "step %q: the %s engine cannot do %s", step.Name, engine, a.Verb)
				}
				if engine == Embedded && a.Verb == Defrag && a.By > 0 {
					l.fail(a.line, "leave `by` out, or `engine: virtual`", "step %q: a real member is defragmented in the time that it takes, not in %s", step.Name, a.By)
				}
			}
		}
		for _, e := range s.allExpectations() {
			if e.Subject.onPods() != (engine == Nodes) {
				l.fail(e.line, "", "the %s engine cannot look at %s", engine, e.Subject)
			}
			if e.Subject == OnObjects && engine == Virtual {
				l.fail(e.line, "", "the virtual engine holds no Kubernetes objects: `objects` is for the embedded one")
			}
		}
	}
}

func (s *Scenario) allExpectations() []Expectation {
	all := slices.Clone(s.Steady)
	for _, step := range s.Steps {
		all = append(all, step.Expect...)
	}
	return all
}

// checkTimes refuses steps that would begin after the drill is stopped, or
// before a step that they follow.
func (l *loader) checkTimes(s *Scenario) {
	last := Duration(0)
	for _, step := range s.Steps {
		if step.At != nil {
			if *step.At < last {
				l.fail(step.line, "", "step %q is at %s, before the step that it follows", step.Name, step.At)
			}
			last = *step.At
		}
		last += step.Wait
		for _, a := range step.Do {
			if a.Verb == Wait {
				last += a.By
			}
		}
		if last >= s.Stop {
			l.fail(step.line, "", "step %q begins at %s or later, and the drill is stopped at %s", step.Name, last, s.Stop)
		}
	}
}

// checkMembers refuses names and selectors that cannot pick anybody.
func (l *loader) checkMembers(s *Scenario) {
	var known []string
	for i := range s.Given.Members + s.Given.Learners {
		known = append(known, "m"+strconv.Itoa(i+1))
	}
	learners := s.Given.Learners
	facts := verbs()
	for _, step := range s.Steps {
		for _, a := range step.Do {
			if a.Verb == AddLearner {
				learners++
			}
			if facts[a.Verb].members != "new" {
				l.checkSelectors(a.Targets, known, learners, a.line)
				l.checkSelectors(a.Against, known, learners, a.line)
				continue
			}
			refused := slices.ContainsFunc(step.Expect, func(e Expectation) bool { return e.Subject == OnAction && e.Value == "fails" })
			for _, target := range a.Targets {
				name := string(target)
				switch {
				case !memberName.MatchString(name) || slices.Contains(selectorWords(), name):
					l.fail(a.line, "", "%q is not a name for a member: small letters, digits and dashes, and no selector", name)
				case slices.Contains(known, name):
					l.fail(a.line, "a member that comes back after it was removed is a new one: give it a new name", "member %q is there already", name)
				}
				if !refused { // the name is still free
					known = append(known, name)
				}
			}
		}
		for _, e := range step.Expect {
			l.checkSelectors(e.On, known, learners, e.line)
			if e.Subject == OnLeader && e.Value != "exactly-one" && e.Value != "none" && e.Value != "several" && !slices.Contains(known, e.Value) {
				l.fail(e.line, nearestWord(e.Value, append([]string{"exactly-one", "none", "several"}, known...)), "leader is not %q", e.Value)
			}
		}
	}
}

func (l *loader) checkSelectors(selectors []Selector, known []string, learners, line int) {
	words := append(selectorWords(), known...)
	for i, s := range selectors {
		switch {
		case !slices.Contains(words, string(s)):
			l.fail(line, nearestWord(string(s), words), "there is no member %q", string(s))
		case s == "learner" && learners == 0:
			l.fail(line, "", "the selector learner picks nobody: no learner is given or added")
		case slices.Contains(known, string(s)) && slices.Contains(selectors[:i], s):
			l.fail(line, "", "member %q is named twice", string(s))
		}
	}
}

// checkMeasures refuses expectations that nothing in the drill can measure.
func (l *loader) checkMeasures(s *Scenario) {
	steps := map[string]int{}
	for i, step := range s.Steps {
		steps[step.Name] = i
	}
	if m := s.Measure; m.From != "" {
		from, known := steps[m.From]
		if !known {
			l.fail(0, "", "rto is measured from %q, which is not a step", m.From)
		}
		if until, ok := steps[m.Until]; m.Until != "steady" && (!ok || until < from) {
			l.fail(0, "", "rto is measured until %q, which is neither steady nor a later step", m.Until)
		}
	}
	restores, actions := 0, 0
	for _, step := range s.Steps {
		for _, a := range step.Do {
			actions++
			if a.Verb == Restore || a.Verb == Rebuild {
				restores++
			}
		}
		for _, e := range step.Expect {
			switch {
			case e.Subject == OnAction && step.LastAction() < 0:
				l.fail(e.line, "", "step %q expects something of its action, and has none", step.Name)
			case e.Subject == OnObjects && s.Given.Backup == "":
				l.fail(e.line, "add given: {backup: SRC}", "objects are expected, and the members start without a backup")
			case e.Subject == OnRevision && restores == 0:
				l.fail(e.line, "", "a revision is ahead or behind only after a restore or rebuild")
			}
		}
	}
	l.checkWrites(s)
	for _, e := range s.Steady {
		switch e.Subject {
		case OnAction, OnTerm, OnRevision:
			l.fail(e.line, "", "steady cannot be told by %s, which belongs to a step", e.Subject)
		case OnObjects:
			if s.Given.Backup == "" {
				l.fail(e.line, "add given: {backup: SRC}", "objects are expected, and the members start without a backup")
			}
		}
	}
	if slices.Contains(s.Always, AckedWritesSurvive) && !s.writes(len(s.Steps)) {
		l.fail(0, "add given: {load: {writes: 20/s}}", "acked-writes-survive is judged on acknowledged writes, and nothing writes")
	}
	if s.Measure.RPO && s.Given.Load.Writes == 0 {
		l.fail(0, "", "rpo counts acknowledged writes, and the load writes none")
	}
	if slices.Contains(s.Always, Linearizable) && (s.Given.Load.Reads == 0 || s.Given.Load.Writes == 0) {
		l.fail(0, "add given: {load: {writes: 20/s, reads: 5/s}}", "linearizable is judged on reads and writes of the load, and it makes none")
	}
}

// checkWrites refuses what is said of lost writes, and of equal hashes, where there
// is nothing to lose and nothing to compare.
func (l *loader) checkWrites(s *Scenario) {
	voters := s.Given.Members
	for i, step := range s.Steps {
		for _, a := range step.Do {
			if a.Verb == AddMember || a.Verb == AddLearner {
				voters += len(a.Targets)
			}
		}
		for _, e := range step.Expect {
			switch {
			case e.Subject == OnLost && !s.writes(i+1):
				l.fail(e.line, "add given: {load: {writes: 20/s}}, or expect {write: ok} before", "step %q: lost counts acknowledged writes, and nothing has written by then", step.Name)
			case e.Subject == OnHash && voters+s.Given.Learners < 2:
				l.fail(e.line, "", "step %q: hash compares members, and there is one", step.Name)
			}
		}
	}
	for _, e := range s.Steady {
		if e.Subject == OnHash && s.Given.Members < 2 {
			l.fail(e.line, "", "hash compares members, and there is one")
		}
	}
}

// writes says whether anything is written in the first n steps: by the load, or by
// an expectation.
func (s *Scenario) writes(n int) bool {
	writes := func(e Expectation) bool { return e.Subject == OnWrite && e.Value == "ok" }
	return s.Given.Load.Writes > 0 || slices.ContainsFunc(s.Steady, writes) ||
		slices.ContainsFunc(s.Steps[:n], func(step Step) bool { return slices.ContainsFunc(step.Expect, writes) })
}
