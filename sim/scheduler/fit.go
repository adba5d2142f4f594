package scheduler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Fit is how many more Pods of a kind a cluster takes, pushing nobody out.
type Fit struct {
	Pod   string    `json:"pod"` // namespace/name
	Count int       `json:"count"`
	Most  bool      `json:"most,omitempty"` // as many as were asked about: more may fit
	Nodes []NodeFit `json:"nodes"`          // the fullest first
	// Message says why the next one does not fit.
	Message string `json:"message,omitempty"`
}

// NodeFit is how many of them one node took.
type NodeFit struct {
	Node string `json:"node"`
	Pods int    `json:"pods"`
}

// HowMany places copies of a Pod, one after the other, until one stays Pending or
// most are placed. The Pod's claims are those of the first copy alone: what is
// bound to volumes or devices of its own is asked with one.
func HowMany(ctx context.Context, objects Objects, opts Options, pod *corev1.Pod, most int) (*Fit, error) {
	sim, err := New(ctx, objects, opts)
	if err != nil {
		return nil, err
	}
	defer sim.Close()
	never := corev1.PreemptNever
	fit, took := &Fit{Pod: podName(pod)}, map[string]int{}
	for _, p := range Copies(pod, max(most, 2))[:most] {
		p.Spec.PreemptionPolicy = &never
		placed, err := sim.Place(p, false)
		if err != nil {
			return nil, err
		}
		if placed.Node == "" {
			fit.Message = placed.Message
			break
		}
		fit.Count++
		took[placed.Node]++
	}
	fit.Most = fit.Count == most
	for _, node := range slices.Sorted(maps.Keys(took)) {
		fit.Nodes = append(fit.Nodes, NodeFit{node, took[node]})
	}
	slices.SortStableFunc(fit.Nodes, func(a, b NodeFit) int { return cmp.Or(cmp.Compare(b.Pods, a.Pods), strings.Compare(a.Node, b.Node)) })
	return fit, nil
}
