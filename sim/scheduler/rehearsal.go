package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// facts are what all losses of one cluster have in common. They are made once,
// read by several rehearsals at once, and never changed.
type facts struct {
	objects Objects // Pods in the order of the queue, Others with the claims of successors
	nodes   map[string]*corev1.Node
	onNode  map[string][]*corev1.Pod // in the order of the queue
	owners  nodeloss.Owners
	// claimed are the successors of Pods that have claims of their own.
	claimed map[types.UID]*corev1.Pod

	budgets  map[string][]*budget
	spreads  *spreads
	headroom headroom
}

func newFacts(objects Objects) *facts {
	f := &facts{
		objects: Objects{Nodes: objects.Nodes, Pods: ByQueue(objects.Pods), Others: slices.Clip(objects.Others)},
		nodes:   map[string]*corev1.Node{}, onNode: map[string][]*corev1.Pod{}, claimed: map[types.UID]*corev1.Pod{},
		owners: nodeloss.NewOwners(objects.Others), budgets: newBudgets(objects.Others, objects.Pods),
	}
	for _, node := range objects.Nodes {
		f.nodes[node.Name] = node
	}
	claims := newClaimMaker(objects.Others)
	for _, pod := range f.objects.Pods {
		if pod.Spec.NodeName == "" || ended(pod) {
			continue
		}
		f.onNode[pod.Spec.NodeName] = append(f.onNode[pod.Spec.NodeName], pod)
		if hasOwnClaims(pod) {
			again, made := claims.succeed(pod)
			f.claimed[pod.UID] = again
			f.objects.Others = append(f.objects.Others, made...)
		}
	}
	f.spreads, f.headroom = newSpreads(objects.Nodes, f.objects.Pods), newHeadroom(objects.Nodes, f.objects.Pods)
	return f
}

func hasOwnClaims(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Ephemeral != nil }) ||
		slices.ContainsFunc(pod.Spec.ResourceClaims, func(c corev1.PodResourceClaim) bool { return c.ResourceClaimTemplateName != nil })
}

// change is what a loss does to a cluster.
type change struct {
	lost map[string]bool
	left []*corev1.Pod // as they were: on lost nodes, pushed out, or evicted
	came []*corev1.Pod // on their new nodes
}

// Rehearsal loses nodes of one cluster again and again, each time beginning with
// the cluster as it is. It is used by one goroutine.
type Rehearsal struct {
	ctx   context.Context
	facts *facts
	opts  Options
	sim   *Simulator // over the cluster as it is; nil before it is needed
}

// NewRehearsal prepares for losses of a cluster. Close ends it.
func NewRehearsal(ctx context.Context, objects Objects, opts Options) *Rehearsal {
	return newRehearsal(ctx, newFacts(objects), opts)
}

func newRehearsal(ctx context.Context, f *facts, opts Options) *Rehearsal {
	return &Rehearsal{ctx: ctx, facts: f, opts: opts}
}

// Close ends the goroutines behind the rehearsal.
func (r *Rehearsal) Close() {
	if r.sim != nil {
		r.sim.Close()
		r.sim = nil
	}
}

// Lose is what the function [Lose] does.
func (r *Rehearsal) Lose(name string, lost []string) (*Loss, error) {
	return r.run(name, lost, func(d *drill) error {
		d.markAll()
		if err := d.evictAll(); err != nil {
			return err
		}
		return d.replace()
	})
}

// Drain is what the function [Drain] does.
func (r *Rehearsal) Drain(name string, nodes []string) (*Loss, error) {
	return r.run(name, nodes, (*drill).drain)
}

func (r *Rehearsal) run(name string, lost []string, play func(*drill) error) (*Loss, error) {
	d := &drill{facts: r.facts, loss: &Loss{Name: name, Nodes: slices.Sorted(slices.Values(lost))}, change: change{lost: map[string]bool{}}, causes: map[types.UID]LostPod{}}
	for _, n := range lost {
		if r.facts.nodes[n] == nil {
			return nil, noSuchNode(n)
		}
		d.lost[n] = true
	}
	if len(r.facts.onNode) == 0 {
		return nil, ErrNoPods
	}
	if err := r.simulate(d, play); err != nil {
		return nil, err
	}
	d.loss.Budgets = brokenBudgets(r.facts.budgets, &d.change)
	d.loss.Skews = r.facts.spreads.broken(&d.change)
	d.loss.Zones = r.facts.headroom.after(&d.change)
	return d.loss, nil
}

// simulate plays a drill on the simulator over the cluster as it is, and puts
// that back as it was; one that frees or allocates devices gets its own, for
// what happens to claims is not undone.
func (r *Rehearsal) simulate(d *drill, play func(*drill) error) (err error) {
	if others, changed := d.withoutClaims(); changed {
		objects := r.facts.objects
		objects.Others = others
		if d.sim, err = New(r.ctx, objects, r.opts); err != nil {
			return err
		}
		defer d.sim.Close()
		return play(d)
	}
	if r.sim == nil {
		if r.sim, err = New(r.ctx, r.facts.objects, r.opts); err != nil {
			return err
		}
	}
	d.sim = r.sim
	if err = play(d); err == nil {
		err = d.restore()
	}
	if err != nil {
		r.Close()
	}
	return err
}

// drill is a loss on its way.
type drill struct {
	*facts
	change

	sim    *Simulator
	loss   *Loss
	queue  []*corev1.Pod // to be placed
	causes map[types.UID]LostPod

	stored []*corev1.Pod // successors that the simulator knows
	marked []*corev1.Node
}

// withoutClaims is Others without what the Pods hold that will be gone, when any
// of those that move has to do with devices.
func (d *drill) withoutClaims() ([]k8sruntime.Object, bool) {
	gone, devices := map[types.UID]bool{}, false
	for node := range d.lost {
		for _, pod := range d.onNode[node] {
			devices = devices || len(pod.Spec.ResourceClaims) > 0
			if comeback, _ := d.owners.Comeback(pod); comeback == nodeloss.AfterDelete {
				gone[pod.UID] = true
			}
		}
	}
	if !devices {
		return nil, false
	}
	return release(d.objects.Others, gone), true
}

// successor is the Pod that is made in the place of another.
func (d *drill) successor(pod *corev1.Pod) *corev1.Pod {
	if again := d.claimed[pod.UID]; again != nil {
		return again.DeepCopy()
	}
	return Successor(pod)
}

// replace places the queue, those who are pushed out on the way included. It
// ends: whoever is pushed out has a lower priority than who pushed.
func (d *drill) replace() error {
	refused := refusals{nodes: len(d.objects.Nodes), kinds: map[string]*Placement{}}
	d.queue = ByQueue(d.queue)
	for len(d.queue) > 0 {
		pod := d.queue[0]
		d.queue = d.queue[1:]
		fate := d.causes[pod.UID]
		kind, err := kindOf(pod), error(nil)
		placed := refused.of(kind, pod)
		if placed == nil {
			placed, err = d.sim.place(pod, kind, false)
			refused.note(kind, placed)
		}
		switch {
		case errors.Is(err, ErrProfile):
			fate.Refused = fmt.Sprintf("scheduler %q is not in the configuration", pod.Spec.SchedulerName)
		case err != nil:
			return err
		default:
			d.stored = append(d.stored, pod)
		}
		fate.Placement = placed
		d.loss.Pods = append(d.loss.Pods, fate)
		if fate.Pending() {
			d.loss.Pending++
		} else {
			d.loss.Placed++
			d.came = append(d.came, placed.Placed)
		}
		if placed == nil || len(placed.Victims) == 0 {
			continue
		}
		for _, victim := range placed.Victims { // gone, even where it helped nobody
			d.pushOut(victim)
		}
		d.queue = ByQueue(d.queue)
	}
	return nil
}

// pushOut takes down a preempted Pod; its kubelet lives, so it goes for good.
func (d *drill) pushOut(victim *corev1.Pod) {
	d.loss.Preempted++
	d.left = append(d.left, victim)
	comeback, why := d.owners.Comeback(victim)
	if comeback == nodeloss.AfterDelete {
		comeback, why = nodeloss.Recreated, "its controller makes a new one when the old one is gone"
	}
	d.enqueue(victim, LostPod{Pod: podName(victim), From: victim.Spec.NodeName, Cause: Preempted, Comeback: comeback, Why: why})
}

// enqueue takes a Pod down, and its successor into the queue if it has one.
func (d *drill) enqueue(pod *corev1.Pod, fate LostPod) {
	fate.Data = nodeloss.HostData(pod)
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
	again := d.successor(pod)
	d.causes[again.UID] = fate
	d.queue = append(d.queue, again)
}
