package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// ErrNoSuchNode says that a node to be lost is not in the cluster.
var ErrNoSuchNode = errors.New("no such node")

// Loss is what becomes of a cluster that lost nodes for good.
type Loss struct {
	Name  string   `json:"name"`  // of the drill: a node, or a zone
	Nodes []string `json:"nodes"` // lost

	Pods    []LostPod      `json:"pods"` // that stood on them, and those they pushed out, in the order of the queue
	Budgets []BudgetBreak  `json:"budgets,omitempty"`
	Skews   []SkewBreak    `json:"skews,omitempty"`
	Zones   []ZoneHeadroom `json:"zones"` // what is left afterwards

	Placed    int `json:"placed"`
	Pending   int `json:"pending"`
	Gone      int `json:"gone"`    // nobody makes them again
	Assumed   int `json:"assumed"` // placed or Pending, if controllers that are not Kubernetes' own make them again
	Preempted int `json:"preempted"`
}

// Cause is why a Pod needs another place.
type Cause string

// The causes.
const (
	Lost      Cause = "lost"      // its node is lost
	Preempted Cause = "preempted" // another Pod pushed it out
)

// LostPod is one Pod's fate.
type LostPod struct {
	Pod      string            `json:"pod"` // namespace/name
	From     string            `json:"from"`
	Cause    Cause             `json:"cause"`
	Comeback nodeloss.Comeback `json:"comeback"`
	Why      string            `json:"why"`

	Placement *Placement `json:"placement,omitempty"` // nil when it is not placed again
	Refused   string     `json:"refused,omitempty"`   // why the scheduler would not look at it
}

// Pending says whether the Pod waits for a place in the end.
func (l *LostPod) Pending() bool {
	return l.Refused != "" || l.Placement != nil && l.Placement.Node == ""
}

// Reason is why a Pod that is Pending has no node, in the scheduler's words.
func (l *LostPod) Reason() string {
	switch {
	case l.Refused != "":
		return l.Refused
	case l.Placement != nil:
		return l.Placement.Message
	}
	return ""
}

// Places are where the successors of the lost Pods go, for nodeloss to tell when.
func (l *Loss) Places() map[string]nodeloss.Place {
	places := map[string]nodeloss.Place{}
	for _, p := range l.Pods {
		switch {
		case p.Cause != Lost:
		case p.Refused != "":
			places[p.Pod] = nodeloss.Place{Message: p.Refused}
		case p.Placement != nil:
			places[p.Pod] = nodeloss.Place{Node: p.Placement.Node, Message: p.Placement.Message}
		}
	}
	return places
}

// Lose places everything again that would be made again when the nodes are
// lost. The lost nodes stay in the node order with the taints of an unreachable
// node, as their objects do, and evicted Pods stay on them, terminating; those
// that have to be gone before they come back count as deleted by hand.
func Lose(ctx context.Context, objects Objects, opts Options, name string, lost []string) (*Loss, error) {
	d := drill{loss: &Loss{Name: name, Nodes: slices.Sorted(slices.Values(lost))}, lost: map[string]bool{}, owners: nodeloss.NewOwners(objects.Others)}
	for _, n := range lost {
		if !slices.ContainsFunc(objects.Nodes, func(node *corev1.Node) bool { return node.Name == n }) {
			return nil, fmt.Errorf("losing node %q: %w", n, ErrNoSuchNode)
		}
		d.lost[n] = true
	}
	after := Objects{Others: objects.Others, Nodes: d.mark(objects.Nodes), Pods: d.evict(objects.Pods)}
	sim, err := New(ctx, after, opts)
	if err != nil {
		return nil, err
	}
	defer sim.Close()
	if err := d.replace(sim); err != nil {
		return nil, err
	}
	now := sim.Bound()
	d.loss.Budgets = budgets(objects, d.lost, d.pushed, now)
	d.loss.Skews = skews(after.Nodes, d.lost, now)
	d.loss.Zones = headroom(after.Nodes, d.lost, now)
	return d.loss, nil
}

// drill is a Lose on its way.
type drill struct {
	loss   *Loss
	lost   map[string]bool
	owners nodeloss.Owners

	queue  []*corev1.Pod // to be placed
	causes map[types.UID]LostPod
	pushed map[types.UID]bool // preempted
}

// mark gives the lost nodes what the node lifecycle controller gives them.
func (d *drill) mark(nodes []*corev1.Node) []*corev1.Node {
	marked := make([]*corev1.Node, len(nodes))
	for i, node := range nodes {
		if d.lost[node.Name] {
			node = node.DeepCopy()
			for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
				node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: effect})
			}
			for j := range node.Status.Conditions {
				node.Status.Conditions[j].Status = corev1.ConditionUnknown
			}
		}
		marked[i] = node
	}
	return marked
}

// evict sorts the Pods of the lost nodes: what stays in the cluster is
// returned, what has to be placed again goes into the queue.
func (d *drill) evict(pods []*corev1.Pod) []*corev1.Pod {
	d.causes, d.pushed = map[types.UID]LostPod{}, map[types.UID]bool{}
	var stay []*corev1.Pod
	for _, pod := range ByQueue(pods) {
		if !d.lost[pod.Spec.NodeName] || ended(pod) {
			stay = append(stay, pod)
			continue
		}
		comeback, why := d.owners.Comeback(pod)
		fate := LostPod{Pod: podName(pod), From: pod.Spec.NodeName, Cause: Lost, Comeback: comeback, Why: why}
		if comeback != nodeloss.Stays {
			old := pod.DeepCopy()
			old.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} // any: only whether it is set is looked at
			pod = old
		}
		if comeback != nodeloss.AfterDelete {
			stay = append(stay, pod)
		}
		d.enqueue(pod, fate)
	}
	return stay
}

// enqueue takes a Pod down, and its successor into the queue if it has one.
func (d *drill) enqueue(pod *corev1.Pod, fate LostPod) {
	switch fate.Comeback {
	case nodeloss.Gone:
		d.loss.Gone++
		fallthrough
	case nodeloss.Stays:
		d.loss.Pods = append(d.loss.Pods, fate)
		return
	case nodeloss.Unknown: // for the room that is left, the safe side
		d.loss.Assumed++
	case nodeloss.Recreated, nodeloss.AfterDelete:
	}
	again := Successor(pod)
	d.causes[again.UID] = fate
	d.queue = append(d.queue, again)
}

// Successor is the Pod that a controller would make in the place of another:
// the same without its place and its past. It keeps the name, so that a report
// can be read, although a ReplicaSet would draw another one.
func Successor(pod *corev1.Pod) *corev1.Pod {
	again := pod.DeepCopy()
	again.UID = pod.UID + "-again"
	again.DeletionTimestamp, again.DeletionGracePeriodSeconds = nil, nil
	again.Spec.NodeName = ""
	again.Status = corev1.PodStatus{Phase: corev1.PodPending}
	return again
}

// replace places the queue, those who are pushed out on the way included. It
// ends: whoever is pushed out has a lower priority than who pushed.
func (d *drill) replace(sim *Simulator) error {
	for len(d.queue) > 0 {
		d.queue = ByQueue(d.queue)
		pod := d.queue[0]
		d.queue = d.queue[1:]
		fate := d.causes[pod.UID]
		placed, err := sim.Place(pod, false)
		switch {
		case errors.Is(err, ErrProfile):
			fate.Refused = fmt.Sprintf("scheduler %q is not in the configuration", pod.Spec.SchedulerName)
		case err != nil:
			return err
		}
		fate.Placement = placed
		d.loss.Pods = append(d.loss.Pods, fate)
		if fate.Pending() {
			d.loss.Pending++
			continue
		}
		d.loss.Placed++
		for _, victim := range placed.Victims {
			d.pushOut(victim)
		}
	}
	return nil
}

// pushOut takes down a preempted Pod; its kubelet lives, so it goes for good.
func (d *drill) pushOut(victim *corev1.Pod) {
	d.loss.Preempted++
	d.pushed[victim.UID] = true
	comeback, why := d.owners.Comeback(victim)
	if comeback == nodeloss.AfterDelete {
		comeback, why = nodeloss.Recreated, "its controller makes a new one when the old one is gone"
	}
	d.enqueue(victim, LostPod{Pod: podName(victim), From: victim.Spec.NodeName, Cause: Preempted, Comeback: comeback, Why: why})
}
