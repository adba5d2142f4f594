package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pending are the Pods that wait for a node.
func (o Objects) Pending() []*corev1.Pod {
	var waiting []*corev1.Pod
	for _, pod := range o.Pods {
		if pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && !ended(pod) {
			waiting = append(waiting, pod)
		}
	}
	return waiting
}

// Take prepares Pods of the cluster to be placed. One that has no node is taken
// as it is: its claims, its nomination and its uid are its own. One that has a
// node is taken off it, and what is placed is the Pod that its controller would
// make again, with new claims. What is left of the cluster comes first.
func (o Objects) Take(pods []*corev1.Pod) (Objects, []*corev1.Pod) {
	claims := newClaimMaker(o.Others)
	gone := map[types.UID]bool{}
	for _, pod := range pods {
		if pod.Spec.NodeName != "" {
			gone[pod.UID] = true
		}
	}
	left := Objects{Nodes: o.Nodes, Others: release(o.Others, gone)}
	for _, pod := range o.Pods {
		if pod.Spec.NodeName == "" || !slices.Contains(pods, pod) {
			left.Pods = append(left.Pods, pod)
		}
	}
	taken := make([]*corev1.Pod, len(pods))
	for i, pod := range pods {
		make := claims.provide
		if pod.Spec.NodeName != "" {
			make = claims.succeed
		}
		given, made := make(pod)
		taken[i], left.Others = given, append(left.Others, made...)
	}
	return left, taken
}
