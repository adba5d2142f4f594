package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// refusals are the Pods that fitted nowhere since the cluster changed last, one
// of each kind: its replicas fit nowhere either, and need not be held against
// every node again. Where a zone is lost, that is most of the work.
type refusals struct {
	nodes int
	kinds map[string]*Placement
}

// of is what a Pod of a kind is told, as another was; nil where it has to be tried.
func (r *refusals) of(kind string, pod *corev1.Pod) *Placement {
	known := r.kinds[kind]
	if known == nil {
		return nil
	}
	again := *known
	again.Pod = podName(pod)
	return &again
}

// note takes in what became of a Pod of a kind. A search that went past all nodes ends
// where it began, so that the next Pod's begins there with it or without it.
func (r *refusals) note(kind string, p *Placement) {
	switch {
	case p == nil:
	case p.Node != "" || len(p.Victims) > 0:
		clear(r.kinds)
	case kind != "" && p.Feasible == 0 && p.Filtered == r.nodes:
		r.kinds[kind] = p
	}
}

// kindOf is all of a Pod that a scheduler looks at; "" for one whose claims are
// its own.
func kindOf(pod *corev1.Pod) string {
	own := func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil }
	if len(pod.Spec.ResourceClaims) > 0 || pod.Status.NominatedNodeName != "" || slices.ContainsFunc(pod.Spec.Volumes, own) {
		return ""
	}
	kind := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Labels: pod.Labels, Annotations: pod.Annotations, OwnerReferences: pod.OwnerReferences},
		Spec:       pod.Spec,
	}
	data, err := kind.Marshal()
	if err != nil {
		return ""
	}
	return string(data)
}
