package sim

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// onNodes says whether the drill is one that loses nodes.
func (s *Scenario) onNodes() bool { return slices.Contains(s.Engines, Nodes) }

// nodesOnly takes from a drill on nodes what belongs to members and to time.
func (l *loader) nodesOnly(s *Scenario, f map[string]*yaml.Node) {
	if len(s.Engines) > 1 {
		l.fail(lineOf(f["engine"]), "", "a drill that loses nodes is for the nodes engine alone")
	}
	for _, word := range []string{"seeds", "steady", "always", "stop-when", "measure", "expect"} {
		if f[word] != nil {
			l.fail(f[word].Line, "", "a drill that loses nodes has no %q: no member runs, and no time passes", word)
		}
	}
	if f["given"] != nil {
		l.fields(f["given"], "given of a drill that loses nodes", "backup")
	}
	s.Given, s.Stop = Given{Backup: s.Given.Backup}, 0
}

// checkNodes is check for a drill on nodes.
func (l *loader) checkNodes(s *Scenario) {
	for _, step := range s.Steps {
		if step.At != nil || step.Wait > 0 {
			l.fail(step.line, "", "step %q: no time passes between losses: every step begins with the cluster as the backup has it", step.Name)
		}
		if len(step.Do) != 1 {
			l.fail(step.line, "name all that is lost together in one list", "step %q has to lose something, once", step.Name)
		}
		for _, a := range step.Do {
			for i, name := range a.Targets {
				switch {
				case slices.Contains(a.Targets[:i], name):
					l.fail(a.line, "", "%q is named twice", string(name))
				case name == Each && len(a.Targets) > 1:
					l.fail(a.line, "", "each stands alone: it loses every one by itself")
				}
			}
		}
	}
}
