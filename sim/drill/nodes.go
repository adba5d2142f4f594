package drill

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// onNodes runs a drill that loses nodes of a backup. The error is ctx's; a node
// that there is none of aborts the run.
func onNodes(ctx context.Context, s *sim.Scenario, backup sim.NodeLoser) (sim.Run, error) {
	run := sim.Run{Seed: s.Seeds.First, Verdict: sim.Met, Basis: backup.Basis()}
	for _, step := range s.Steps {
		result := sim.StepResult{Name: step.Name}
		var err error
		for _, a := range step.Do {
			done := sim.Done{Action: a.String()}
			if result.Losses, err = backup.Lose(ctx, a); err != nil {
				done.Error = err.Error()
			}
			result.Done = append(result.Done, done)
		}
		if ctx.Err() != nil {
			return run, ctx.Err()
		}
		if err != nil {
			run.Steps = append(run.Steps, result)
			run.Verdict, run.Reason = sim.Aborted, fmt.Sprintf("step %q: %v", step.Name, err)
			return run, nil
		}
		for _, e := range step.Expect {
			check := lookAtPods(e, result.Losses, backup)
			result.Checks = append(result.Checks, check)
			if check.Met {
				continue
			}
			reason := fmt.Sprintf("step %q: expected %s, observed %s", step.Name, check.Expected, check.Observed)
			if run.Verdict == sim.Met {
				run.Verdict, run.Reason, run.Cause = sim.Deviated, reason, fmt.Sprintf("step %q: %s", step.Name, check.Expected)
			}
			run.Reasons = append(run.Reasons, reason)
		}
		run.Steps = append(run.Steps, result)
	}
	if !slices.ContainsFunc(run.Steps, func(s sim.StepResult) bool { return len(s.Checks) > 0 }) {
		run.Verdict, run.Reason = sim.Aborted, "no step expects anything: nothing was judged"
	}
	return run, nil
}

// lookAtPods judges an expectation on every loss of a step: it is met when it
// is met for each.
func lookAtPods(e sim.Expectation, losses []sim.NodeLoss, backup sim.NodeLoser) sim.Check {
	check := sim.Check{Expected: e.String()}
	if e.Namespace != "" && backup.Pods(e.Namespace) == 0 {
		check.Observed = fmt.Sprintf("no Pod of namespace %q in the backup", e.Namespace)
		return check
	}
	// Nothing that had to move proves nothing.
	if _, moved, _ := worstOf(losses, e.Namespace, func(p sim.PodFate) bool { return !p.Stays }); len(moved) == 0 {
		check.Observed = "not checked: no Pod" + namespaced(e.Namespace) + " had to move" + afterEach(losses)
		return check
	}
	var err error
	if e.Subject == sim.OnPending {
		check.Met, check.Observed, err = pending(e, losses)
	} else {
		check.Met, check.Observed, err = backWithin(e, losses)
	}
	if err != nil {
		check.Met, check.Observed = false, err.Error()
	}
	return check
}

// pending counts the Pods without a node after the worst loss.
func pending(e sim.Expectation, losses []sim.NodeLoss) (bool, string, error) {
	limit, err := strconv.Atoi(e.Value)
	if err != nil {
		return false, "", err
	}
	worst, pods, others := worstOf(losses, e.Namespace, func(p sim.PodFate) bool { return p.Pending })
	if len(pods) == 0 {
		return true, "0" + afterEach(losses), nil
	}
	return len(pods) <= limit, fmt.Sprintf("%d after losing %s%s: %s", len(pods), worst.Name, others, whyAll(pods)), nil
}

// backWithin looks for Pods that do not come back in time. Those that belong
// to a lost node are not waited for.
func backWithin(e sim.Expectation, losses []sim.NodeLoss) (bool, string, error) {
	var limit sim.Duration
	if err := limit.UnmarshalText([]byte(e.Value)); err != nil {
		return false, "", err
	}
	worst, late, others := worstOf(losses, e.Namespace, func(p sim.PodFate) bool { return !p.Stays && (p.Back == nil || *p.Back > limit) })
	if len(late) > 0 {
		return false, fmt.Sprintf("%d not back after losing %s%s: %s", len(late), worst.Name, others, whyAll(late)), nil
	}
	slowest := sim.Duration(0)
	for _, loss := range losses {
		for _, p := range podsIn(loss, e.Namespace, func(p sim.PodFate) bool { return p.Back != nil }) {
			slowest = max(slowest, *p.Back)
		}
	}
	return true, fmt.Sprintf("all back after %s at the latest%s", slowest.D().Round(time.Second), afterEach(losses)), nil
}

func namespaced(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" of namespace %q", name)
}

func afterEach(losses []sim.NodeLoss) string {
	if len(losses) == 1 {
		return " after losing " + losses[0].Name
	}
	return fmt.Sprintf(" after each of %d losses", len(losses))
}

// worstOf is the loss with the most Pods of that kind; others says in how many
// more there are some.
func worstOf(losses []sim.NodeLoss, namespace string, those func(sim.PodFate) bool) (worst sim.NodeLoss, pods []sim.PodFate, others string) {
	some := 0
	for _, loss := range losses {
		found := podsIn(loss, namespace, those)
		if len(found) > 0 {
			some++
		}
		if len(found) > len(pods) {
			worst, pods = loss, found
		}
	}
	if some > 1 {
		others = fmt.Sprintf(", the worst of %d such losses", some)
	}
	return worst, pods, others
}

func podsIn(loss sim.NodeLoss, namespace string, those func(sim.PodFate) bool) (out []sim.PodFate) {
	for _, p := range loss.Pods {
		if (namespace == "" || p.Namespace == namespace) && those(p) {
			out = append(out, p)
		}
	}
	return out
}

// maxWhy is how many Pods an observation names; the report has all of them.
const maxWhy = 3

func whyAll(pods []sim.PodFate) string {
	var parts []string
	for _, p := range pods[:min(maxWhy, len(pods))] {
		text := p.Namespace + "/" + p.Name + " ("
		if p.Back != nil {
			text += "after " + p.Back.D().Round(time.Second).String() + ": "
		}
		parts = append(parts, text+p.Why+")")
	}
	if len(pods) > maxWhy {
		parts = append(parts, fmt.Sprintf("and %d more", len(pods)-maxWhy))
	}
	return strings.Join(parts, ", ")
}
