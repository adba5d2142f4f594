package scheduler

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Placement is what the scheduler decided about one Pod, and why.
type Placement struct {
	Pod     string `json:"pod"` // namespace/name
	Profile string `json:"profile"`
	Node    string `json:"node,omitempty"` // "" stays Pending

	// Message is the text of the FailedScheduling event, before the API cuts it
	// at 1024 bytes. A Pod that was placed by preemption has it, too: from its
	// first attempt.
	Message string `json:"message,omitempty"`

	Start    int `json:"start"`    // where in the node order the search began; -1 when PreFilter named the nodes
	Wanted   int `json:"wanted"`   // feasible nodes after which it would stop
	Filtered int `json:"filtered"` // nodes it looked at
	Feasible int `json:"feasible"` // of them, those that fit

	Margin     int64       `json:"margin"`         // the winner's total less the second's; 0 when there is no second
	Ties       []string    `json:"ties,omitempty"` // nodes with the best total, if more than one, in node order
	Preemption *Preemption `json:"preemption,omitempty"`

	Nodes []NodeVerdict `json:"nodes,omitempty"` // in node order; only where detail was asked for

	Victims []*corev1.Pod `json:"-"` // those of Preemption
	Placed  *corev1.Pod   `json:"-"` // the Pod as it is bound now
}

// Preemption is who had to go, and where the Pod is nominated to.
type Preemption struct {
	Node       string   `json:"node"`
	Victims    []string `json:"victims"` // namespace/name, the most important first
	Violations int64    `json:"pdbViolations"`
}

// NodeVerdict is what the plugins said about one node.
type NodeVerdict struct {
	Node     string `json:"node"`
	Position int    `json:"position"` // in the node order, from 0

	Skipped bool        `json:"skipped,omitempty"` // not looked at: enough feasible nodes were found
	Against []Rejection `json:"against,omitempty"` // the first filter that refused it, or every one
	Scores  []Score     `json:"scores,omitempty"`
	Total   int64       `json:"total,omitempty"`
	Rank    int         `json:"rank,omitempty"` // from 1; equal totals share it
}

// Rejection is a filter's no, in its own words.
type Rejection struct {
	Plugin  string   `json:"plugin"`
	Reasons []string `json:"reasons"`
}

// Score is one plugin's opinion of one node.
type Score struct {
	Plugin     string `json:"plugin"`
	Raw        int64  `json:"raw"`
	Normalized int64  `json:"normalized"` // 0 to 100
	Weighted   int64  `json:"weighted"`
}

func podName(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }

func byPodName(a, b *corev1.Pod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(string(a.UID), string(b.UID)))
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// ByQueue sorts Pods as they leave the scheduling queue: PrioritySort, with
// the creation in the place of the time of queueing, which no backup has.
func ByQueue(pods []*corev1.Pod) []*corev1.Pod {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b *corev1.Pod) int {
		return cmp.Or(
			cmp.Compare(priority(b), priority(a)),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			byPodName(a, b),
		)
	})
	return sorted
}

func priority(pod *corev1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// Waiting counts the Pods that have no node in the end.
func Waiting(placements []*Placement) (n int) {
	for _, p := range placements {
		if p.Node == "" {
			n++
		}
	}
	return n
}
