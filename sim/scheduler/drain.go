package scheduler

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// drain cordons the nodes, then evicts in rounds. A Pod that was placed again is
// taken to be ready before the next round.
func (d *drill) drain() error {
	for _, name := range d.loss.Nodes {
		node := d.nodes[name].DeepCopy()
		node.Spec.Unschedulable = true
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
		d.mark(node)
	}
	waiting := d.drainable()
	ready := map[*budget]int32{}
	for _, list := range d.budgets {
		for _, b := range list {
			ready[b] = b.healthy
		}
	}
	for {
		before, placed := len(waiting), len(d.loss.Pods)
		var blocked []*corev1.Pod
		for _, pod := range waiting {
			if d.blockedBy(pod, ready) != "" {
				blocked = append(blocked, pod)
				continue
			}
			if err := d.evict(pod, ready); err != nil {
				return err
			}
		}
		if err := d.replace(); err != nil {
			return err
		}
		d.count(d.loss.Pods[placed:], ready)
		if waiting = blocked; len(waiting) == 0 || len(waiting) == before {
			break
		}
	}
	for _, pod := range waiting {
		d.block(pod, d.blockedBy(pod, ready))
	}
	return nil
}

// drainable are the Pods to be evicted, in the order of their names; what kubectl
// drain leaves alone, or does not touch without being forced, is told at once.
func (d *drill) drainable() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, name := range d.loss.Nodes {
		for _, pod := range d.onNode[name] {
			if pod.DeletionTimestamp != nil {
				continue
			}
			comeback, why := d.owners.Comeback(pod)
			switch {
			case comeback == nodeloss.Stays && !tolerant(why):
				d.loss.Pods = append(d.loss.Pods, LostPod{Pod: podName(pod), From: name, Cause: Drained, Comeback: comeback, Why: why})
			case comeback == nodeloss.Gone:
				d.block(pod, "kubectl drain wants --force: "+why)
			default:
				pods = append(pods, pod)
			}
		}
	}
	slices.SortFunc(pods, byPodName)
	return pods
}

// tolerant Pods stay on a node that is lost, and go from one that is drained.
func tolerant(why string) bool { return strings.HasPrefix(why, nodeloss.ToleratesForever) }

func (d *drill) block(pod *corev1.Pod, why string) {
	comeback, _ := d.owners.Comeback(pod)
	d.loss.Blocked++
	d.loss.Pods = append(d.loss.Pods, LostPod{Pod: podName(pod), From: pod.Spec.NodeName, Cause: Drained, Comeback: comeback, Why: why, Blocked: why})
}

// blockedBy is the eviction API's answer (pkg/registry/core/pod/storage/eviction.go),
// "" when it would evict.
func (d *drill) blockedBy(pod *corev1.Pod, ready map[*budget]int32) string {
	covering := d.covering(pod)
	switch {
	case len(covering) == 0:
		return ""
	case len(covering) > 1:
		return "it has more than one PodDisruptionBudget, which the eviction API does not support"
	}
	b := covering[0]
	switch {
	case !healthy(pod) && (b.alwaysUnhealthy || ready[b] >= b.desired && b.desired > 0):
		return ""
	case ready[b]-1 >= b.desired:
		return ""
	}
	return "PodDisruptionBudget " + b.name + " allows no eviction"
}

func (d *drill) covering(pod *corev1.Pod) (found []*budget) {
	for _, b := range d.budgets[pod.Namespace] {
		if b.selector.Matches(labels.Set(pod.Labels)) {
			found = append(found, b)
		}
	}
	return found
}

// evict takes one Pod down for good: its kubelet lives.
func (d *drill) evict(pod *corev1.Pod, ready map[*budget]int32) error {
	for _, b := range d.covering(pod) {
		if healthy(pod) {
			ready[b]--
		}
	}
	if err := d.sim.Remove(pod); err != nil {
		return err
	}
	comeback, why := d.owners.Comeback(pod)
	if comeback == nodeloss.AfterDelete || comeback == nodeloss.Stays {
		comeback, why = nodeloss.Recreated, "its controller makes a new one when the old one is gone"
	}
	d.left = append(d.left, pod)
	d.enqueue(pod, LostPod{Pod: podName(pod), From: pod.Spec.NodeName, Cause: Drained, Comeback: comeback, Why: why})
	return nil
}

// count adds those who were placed to their budgets, and takes away those who
// were pushed out.
func (d *drill) count(fates []LostPod, ready map[*budget]int32) {
	for _, fate := range fates {
		if fate.Cause == Preempted {
			for _, pod := range d.onNode[fate.From] {
				if podName(pod) == fate.Pod && healthy(pod) {
					for _, b := range d.covering(pod) {
						ready[b]--
					}
				}
			}
		}
		if fate.Placement != nil && fate.Placement.Placed != nil {
			for _, b := range d.covering(fate.Placement.Placed) {
				ready[b]++
			}
		}
	}
}
