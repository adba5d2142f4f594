package scheduler

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// PostFilter is DefaultPreemption's, with the same answer. For each node the
// plugin copies the node and what PreFilter has counted before it looks whether
// any Pod there has a lower priority; in a cluster of 1000 nodes and strict
// spread constraints that is nearly all that a simulation does. Nodes without
// such a Pod are left out, and put back into the message.
func (p *pinnedPreemption) PostFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, all fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	reader := &withVictims{NodeToStatusReader: all, plugin: p, priority: corev1helpers.PodPriority(pod)}
	result, status := p.DefaultPreemption.PostFilter(ctx, state, pod, reader)
	if len(reader.without) == 0 || result == nil || status.Code() != fwk.Unschedulable {
		return result, status
	}
	text, err := p.inVain(ctx, state, pod, reader)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	return result, fwk.NewStatus(fwk.Unschedulable, "preemption: "+text)
}

// inVain is the message of a search that found no candidate (Evaluator.evaluate).
func (p *pinnedPreemption) inVain(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, reader *withVictims) (string, error) {
	statuses := framework.NewDefaultNodeToStatus()
	if len(reader.with) > 0 {
		budgets, err := p.Evaluator.PdbLister.List(labels.Everything())
		if err != nil {
			return "", err
		}
		if _, statuses, err = p.Evaluator.DryRunPreemption(ctx, state, pod, reader.with, budgets, 0, int32(len(reader.with))); err != nil {
			return "", err
		}
	}
	for _, node := range reader.without { // DefaultPreemption.SelectVictimsOnNode
		statuses.Set(node.Node().Name, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "No preemption victims found for incoming pod"))
	}
	statuses.SetAbsentNodesStatus(fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "Preemption is not helpful for scheduling"))
	nodes, err := p.Evaluator.Handler.MutableSnapshotSharedLister().NodeInfos().List()
	if err != nil {
		return "", err
	}
	return (&framework.FitError{Pod: pod, NumAllNodes: len(nodes), Diagnosis: framework.Diagnosis{NodeToStatus: statuses}}).Error(), nil
}

// withVictims shows preemption the nodes on which there is somebody to preempt.
type withVictims struct {
	fwk.NodeToStatusReader
	plugin        *pinnedPreemption
	priority      int32
	with, without []fwk.NodeInfo
}

// NodesForStatusCode is what the search asks for once, before it begins. Only
// the nodes that it gets are put in order.
func (w *withVictims) NodesForStatusCode(lister fwk.NodeInfoLister, code fwk.Code) ([]fwk.NodeInfo, error) {
	all, sorted := w.NodeToStatusReader, slices.Clone[[]fwk.NodeInfo]
	if ordered, is := all.(inOrder); is {
		all, sorted = ordered.NodeToStatusReader, ordered.sorted
	}
	nodes, err := all.NodesForStatusCode(lister, code)
	w.plugin.potential, w.with, w.without = len(nodes), nil, nil
	for _, node := range nodes {
		if w.plugin.groups || slices.ContainsFunc(node.GetPods(), func(pod fwk.PodInfo) bool { return corev1helpers.PodPriority(pod.GetPod()) < w.priority }) {
			w.with = append(w.with, node)
		} else {
			w.without = append(w.without, node)
		}
	}
	w.with = sorted(w.with)
	return w.with, err
}
