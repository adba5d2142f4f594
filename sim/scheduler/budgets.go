package scheduler

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// BudgetBreak is a PodDisruptionBudget that a loss leaves with fewer healthy Pods
// than it wants. A node that is lost asks no budget.
type BudgetBreak struct {
	Budget  string `json:"budget"` // namespace/name
	Desired int32  `json:"desired"`
	AtOnce  int32  `json:"atOnce"` // healthy just after the loss
	After   int32  `json:"after"`  // once everything that fits was placed again
}

// budget is a PodDisruptionBudget over the cluster before any loss.
type budget struct {
	name      string
	namespace string
	selector  labels.Selector
	desired   int32
	healthy   int32 // Ready now
	running   int32 // with a node, and not on their way out
	// alwaysUnhealthy: Pods that are not Ready may always be evicted.
	alwaysUnhealthy bool
}

// newBudgets counts what stands behind each budget. An empty selector is every
// Pod of the namespace, none at all is no Pod (policy/v1).
func newBudgets(others []runtime.Object, pods []*corev1.Pod) map[string][]*budget {
	byNamespace := map[string][]*budget{}
	for _, obj := range others {
		pdb, ok := obj.(*policyv1.PodDisruptionBudget)
		if !ok {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		if err != nil {
			continue // the disruption controller does nothing with it, either
		}
		byNamespace[pdb.Namespace] = append(byNamespace[pdb.Namespace], &budget{
			name: pdb.Namespace + "/" + pdb.Name, namespace: pdb.Namespace, selector: selector, desired: pdb.Status.DesiredHealthy,
			alwaysUnhealthy: pdb.Spec.UnhealthyPodEvictionPolicy != nil && *pdb.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow,
		})
	}
	for _, pod := range pods {
		for _, b := range byNamespace[pod.Namespace] {
			if !b.selector.Matches(labels.Set(pod.Labels)) {
				continue
			}
			if healthy(pod) {
				b.healthy++
			}
			if running(pod) {
				b.running++
			}
		}
	}
	return byNamespace
}

func healthy(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func running(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil && !ended(pod)
}

// brokenBudgets are those that a change leaves short. One that was short before,
// and that lost nobody, is not the change's doing.
func brokenBudgets(all map[string][]*budget, c *change) []BudgetBreak {
	type state struct{ atOnce, after int32 }
	touched := map[*budget]state{}
	look := func(pod *corev1.Pod, apply func(*state)) {
		for _, b := range all[pod.Namespace] {
			if !b.selector.Matches(labels.Set(pod.Labels)) {
				continue
			}
			s, known := touched[b]
			if !known {
				s = state{b.healthy, b.running}
			}
			apply(&s)
			touched[b] = s
		}
	}
	for _, pod := range c.left {
		look(pod, func(s *state) {
			if healthy(pod) {
				s.atOnce--
			}
			if running(pod) {
				s.after--
			}
		})
	}
	for _, pod := range c.came {
		look(pod, func(s *state) { s.after++ })
	}
	var breaks []BudgetBreak
	for b, s := range touched {
		if s.atOnce < min(b.desired, b.healthy) || s.after < min(b.desired, b.running) {
			breaks = append(breaks, BudgetBreak{Budget: b.name, Desired: b.desired, AtOnce: s.atOnce, After: s.after})
		}
	}
	slices.SortFunc(breaks, func(a, b BudgetBreak) int { return strings.Compare(a.Budget, b.Budget) })
	return breaks
}
