package scheduler

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"
)

// PostFilter is DefaultPreemption's, with the same answer. For each node the
// plugin copies the node and what PreFilter has counted before it looks whether
// any Pod there has a lower priority; in a cluster of 1000 nodes and strict
// spread constraints that is nearly all that a simulation does. Nodes without
// such a Pod are left out, and put back into the message.
func (p *pinnedPreemption) PostFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, all fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	reader := &withVictims{NodeToStatusReader: all, plugin: p, priority: corev1helpers.PodPriority(pod)}
	p.inVain = framework.NewDefaultNodeToStatus()
	result, status := p.DefaultPreemption.PostFilter(ctx, state, pod, reader)
	if len(reader.without) == 0 || result == nil || status.Code() != fwk.Unschedulable {
		return result, status
	}
	nodes, err := p.Evaluator.Handler.MutableSnapshotSharedLister().NodeInfos().List()
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	nobody := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "No preemption victims found for incoming pod") // DefaultPreemption.SelectVictimsOnNode
	for _, node := range reader.without {
		p.inVain.Set(node.Node().Name, nobody)
	}
	p.inVain.SetAbsentNodesStatus(fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "Preemption is not helpful for scheduling")) // Evaluator.evaluate
	none := &framework.FitError{Pod: pod, NumAllNodes: len(nodes), Diagnosis: framework.Diagnosis{NodeToStatus: p.inVain}}
	return result, fwk.NewStatus(fwk.Unschedulable, "preemption: "+none.Error())
}

// SelectVictimsOnNode is the plugin's, and takes down why a node is no candidate.
func (p *pinnedPreemption) SelectVictimsOnNode(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo, possible []*preemption.DomainVictim, budgets []*policyv1.PodDisruptionBudget) ([]*corev1.Pod, int, *fwk.Status) {
	victims, violations, status := p.DefaultPreemption.SelectVictimsOnNode(ctx, state, pod, node, possible, budgets)
	if !status.IsSuccess() {
		p.inVain.Set(node.Node().Name, status)
	}
	return victims, violations, status
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
