package host

import (
	"context"
	"fmt"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// Sizes are the members of etcd before a step of a checklist and after it.
type Sizes struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Rehearse runs the changes of members on the list in virtual time, as `sim
// quorum plan` does, and writes on each step what etcd says to it and whether
// writes go on: in the order that the list has, and when a machine is switched
// off before its member is gone, or a member is added before its machine runs.
// Nothing of it is computed here.
func (l *Checklist) Rehearse(ctx context.Context) error {
	known := map[Sizes]string{}
	for i := range l.Items {
		change := l.Items[i].Members
		if change == nil {
			continue
		}
		text, done := known[*change]
		if !done {
			steps, err := drill.PlanQuorum(ctx, change.From, change.To)
			if err != nil {
				return fmt.Errorf("rehearsing %d to %d members: %w", change.From, change.To, err)
			}
			text = told(steps)
			known[*change] = text
		}
		l.Items[i].Quorum = fmt.Sprintf("a quorum is %d of %d; %s", drill.Quorum(change.To), change.To, text)
	}
	return nil
}

// told is what became of the two orders of a plan. The members of the simulation
// have other names than the masters, so that only what was done is told.
func told(steps []drill.PlanStep) string {
	var done []string
	broke, hasty := "", ""
	for _, s := range steps {
		action, _, _ := strings.Cut(s.Action, " ")
		if action == "wait" || action == "start" {
			continue
		}
		well := s.Says == "ok" && s.Writes == "ok"
		switch {
		case s.Plan == drill.Safe && !well && broke == "":
			broke = fmt.Sprintf("at %s etcd says %q, and writes: %q", action, s.Says, s.Writes)
		case s.Plan == drill.Safe:
			done = append(done, action)
		case !well && hasty == "" && action == "kill":
			hasty = "; writes stop when the machine is switched off first"
		case !well && hasty == "":
			hasty = "; writes stop when the member is added before its machine runs"
		}
	}
	if broke != "" {
		return broke + hasty
	}
	return strings.Join(done, ", ") + ": etcd agrees, writes go on" + hasty
}
