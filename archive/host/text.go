package host

import (
	"fmt"
	"strings"
)

// Lines are the steps for people: each with its reason, how it is undone, and the
// lines that it changes. Names in them may need escaping.
func (p *Plan) Lines() []string {
	var lines []string
	for i, step := range p.Steps {
		lines = append(lines, fmt.Sprintf("%3d. %s", i+1, step), "       why:  "+step.Why, "       undo: "+step.Undo)
		for line := range strings.Lines(step.Diff) {
			lines = append(lines, "       "+strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// Lines are the steps for people. Names in them may need escaping.
func (l *Checklist) Lines() []string {
	var lines []string
	for i, item := range l.Items {
		lines = append(lines, fmt.Sprintf("%3d. %s", i+1, item.What))
		if item.Command != "" {
			lines = append(lines, "       "+item.Command)
		}
		if item.Quorum != "" {
			lines = append(lines, "       etcd: "+item.Quorum)
		}
	}
	return lines
}
