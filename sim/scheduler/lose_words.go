package scheduler

import (
	"cmp"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// WorstFirst ranks losses: what stays Pending weighs most, then what is
// pushed out, then broken budgets, then what nobody makes again.
func WorstFirst(a, b *Loss) int {
	return cmp.Or(
		cmp.Compare(b.Pending, a.Pending), cmp.Compare(b.Preempted, a.Preempted),
		cmp.Compare(len(b.Budgets), len(a.Budgets)), cmp.Compare(b.Gone, a.Gone),
	)
}

// Destination is where the Pod ends up: a node, or in angle brackets what else
// becomes of it.
func (l *LostPod) Destination() string {
	switch {
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
	switch {
	case l.Pending():
		return l.Reason()
	case l.Placement != nil && l.Placement.Preemption != nil:
		return "preempts " + strings.Join(l.Placement.Preemption.Victims, ", ")
	}
	return why
}
