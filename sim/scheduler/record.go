package scheduler

import (
	"cmp"
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// recorder is a framework that takes down what its plugins say in one
// scheduling cycle. SchedulePod takes the interface, so nothing of the
// scheduler has to be copied.
type recorder struct {
	framework.Framework
	position map[string]int
	detail   bool

	narrowed bool                   // PreFilter named the nodes to look at
	checked  []string               // nodes in the order in which they were filtered; without detail the first two
	rejected map[string]*fwk.Status // what was said against a node; with detail only
	scores   []fwk.NodePluginScores // with detail only
	ties     []string
	margin   int64
}

// RunPreFilterPlugins notes whether the candidates come out of a set.
func (r *recorder) RunPreFilterPlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod) (*fwk.PreFilterResult, *fwk.Status, sets.Set[string]) {
	result, status, plugins := r.Framework.RunPreFilterPlugins(ctx, state, pod)
	r.narrowed = !result.AllNodes()
	return result, status, plugins
}

// RunFilterPluginsWithNominatedPods notes which node is filtered.
func (r *recorder) RunFilterPluginsWithNominatedPods(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, info fwk.NodeInfo) *fwk.Status {
	if r.detail || len(r.checked) < 2 {
		r.checked = append(r.checked, info.Node().Name)
	}
	status := r.Framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, info)
	if r.detail && !status.IsSuccess() {
		if r.rejected == nil {
			r.rejected = map[string]*fwk.Status{}
		}
		r.rejected[info.Node().Name] = status
	}
	return status
}

// RunScorePlugins takes down the scores. Candidates that came out of a set are put
// into the order of the nodes: the scheduler's heap breaks ties by the order
// of this list, and the order of a set is chance.
func (r *recorder) RunScorePlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) ([]fwk.NodePluginScores, *fwk.Status) {
	scores, status := r.Framework.RunScorePlugins(ctx, state, pod, nodes)
	if r.narrowed {
		slices.SortFunc(scores, func(a, b fwk.NodePluginScores) int {
			return cmp.Compare(r.position[a.Name], r.position[b.Name])
		})
	}
	r.ties, r.margin = contest(scores)
	if r.detail {
		r.scores = slices.Clone(scores) // the scheduler makes a heap of its own
	}
	return scores, status
}

// startOffset is where in the node order this cycle began to look, -1 where
// that has no meaning.
func (r *recorder) startOffset(nominated string) int {
	checked := r.checked
	if nominated != "" && len(checked) > 0 && checked[0] == nominated {
		checked = checked[1:] // tried first and alone
	}
	if r.narrowed || len(checked) == 0 {
		return -1
	}
	return r.position[checked[0]]
}

// contest is how close it was: the nodes with the best total when there are
// several, and what the winner is ahead of the next.
func contest(scores []fwk.NodePluginScores) (ties []string, margin int64) {
	if len(scores) < 2 {
		return nil, 0
	}
	best, second, equal := scores[0].TotalScore, int64(-1), 1
	for _, score := range scores[1:] {
		switch {
		case score.TotalScore > best:
			best, second, equal = score.TotalScore, best, 1
		case score.TotalScore == best:
			equal++
		default:
			second = max(second, score.TotalScore)
		}
	}
	if equal == 1 {
		return nil, best - second
	}
	ties = make([]string, 0, equal)
	for _, score := range scores {
		if score.TotalScore == best {
			ties = append(ties, score.Name)
		}
	}
	return ties, 0
}
