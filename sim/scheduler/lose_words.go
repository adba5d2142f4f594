package scheduler

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// WorstFirst ranks losses: what stays Pending weighs most, then what is
// pushed out, then broken budgets, then what nobody makes again.
func WorstFirst(a, b *Loss) int {
	return cmp.Or(
		cmp.Compare(b.Pending, a.Pending), cmp.Compare(b.Blocked, a.Blocked), cmp.Compare(b.Preempted, a.Preempted),
		cmp.Compare(len(b.Budgets), len(a.Budgets)), cmp.Compare(b.Gone, a.Gone),
	)
}

// Destination is where the Pod ends up: a node, or in angle brackets what else
// becomes of it.
func (l *LostPod) Destination() string {
	switch {
	case l.Blocked != "":
		return "<blocked>"
	case l.Pending():
		return "<pending>"
	case l.Placement != nil:
		return l.Placement.Node
	case l.Comeback == nodeloss.Stays:
		return "<stays>"
	}
	return "<gone>"
}

// Story says why, for people.
func (l *LostPod) Story() string {
	why := l.Why
	if l.Cause == Preempted {
		why = "preempted; " + why
	}
	if l.Data != "" {
		why += "; " + l.Data
	}
	switch {
	case l.Pending():
		return l.Reason()
	case l.Placement != nil && l.Placement.Preemption != nil:
		return "preempts " + strings.Join(l.Placement.Preemption.Victims, ", ")
	}
	return why
}

// Checked says whether the loss proves anything: some Pod stood there.
func (l *Loss) Checked() bool { return len(l.Pods) > 0 }

// Headline is the loss in a sentence.
func (l *Loss) Headline() string {
	if !l.Checked() {
		return fmt.Sprintf("lost: %s (%d nodes): no Pod stood there: not checked", l.Name, len(l.Nodes))
	}
	text := fmt.Sprintf("lost: %s (%d nodes): %d Pods placed again, %d stay Pending, %d preempted, %d gone for good", l.Name, len(l.Nodes), l.Placed, l.Pending, l.Preempted, l.Gone)
	if l.Blocked > 0 {
		text += fmt.Sprintf(", %d cannot be evicted", l.Blocked)
	}
	return text
}
