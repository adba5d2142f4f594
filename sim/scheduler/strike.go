package scheduler

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// markAll gives the lost nodes what the node lifecycle controller gives them.
func (d *drill) markAll() {
	for _, name := range d.loss.Nodes {
		node := d.nodes[name].DeepCopy()
		for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: effect})
		}
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].Status = corev1.ConditionUnknown
		}
		d.mark(node)
	}
}

// mark puts a changed node in the place of one.
func (d *drill) mark(node *corev1.Node) {
	d.sim.sched.Cache.UpdateNode(klog.Logger{}, d.nodes[node.Name], node)
	d.marked = append(d.marked, node)
}

// evictAll takes down the Pods of the lost nodes: what has to be placed again
// goes into the queue.
func (d *drill) evictAll() error {
	var pods []*corev1.Pod
	for _, name := range d.loss.Nodes {
		pods = append(pods, d.onNode[name]...)
	}
	for _, pod := range ByQueue(pods) {
		comeback, why := d.owners.Comeback(pod)
		fate := LostPod{Pod: podName(pod), From: pod.Spec.NodeName, Cause: Lost, Comeback: comeback, Why: why}
		var err error
		switch comeback {
		case nodeloss.Stays:
		case nodeloss.AfterDelete:
			err = d.sim.Remove(pod)
		default:
			err = d.sim.terminate(pod)
		}
		if err != nil {
			return err
		}
		d.left = append(d.left, pod)
		d.enqueue(pod, fate)
	}
	return nil
}

// terminate marks a Pod for deletion; a kubelet that is dead never confirms it.
func (s *Simulator) terminate(pod *corev1.Pod) error {
	copied := *pod
	old := &copied
	old.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} // any: only whether it is set is looked at
	if err := s.sched.Cache.UpdatePod(klog.Logger{}, pod, old); err != nil {
		return fmt.Errorf("evicting Pod %s: %w", podName(pod), err)
	}
	s.bound[pod.UID] = old
	s.view.remove(pod)
	if err := s.podStore.Update(old); err != nil {
		return fmt.Errorf("evicting Pod %s: %w", podName(pod), err)
	}
	return nil
}

// reservation is what plugins hold for a Pod whose claims are not bound yet.
type reservation struct {
	profile string
	state   fwk.CycleState
	pod     *corev1.Pod
}

// reserve notes what has to be given back before the simulator is used again.
// Only claims that are not bound leave something behind.
func (s *Simulator) reserve(c *cycle, bound *corev1.Pod) {
	claims := s.informers.Core().V1().PersistentVolumeClaims().Lister().PersistentVolumeClaims(bound.Namespace)
	if slices.ContainsFunc(bound.Spec.Volumes, func(v corev1.Volume) bool {
		if v.PersistentVolumeClaim == nil {
			return false
		}
		claim, err := claims.Get(v.PersistentVolumeClaim.ClaimName)
		return err == nil && claim.Spec.VolumeName == ""
	}) {
		s.reserved = append(s.reserved, reservation{bound.Spec.SchedulerName, c.state, bound})
	}
}

// restore undoes a drill: the simulator stands over the cluster as it was, down
// to the order of the Pods on each node and to where the next search begins.
func (d *drill) restore() error {
	s := d.sim
	for _, r := range s.reserved {
		s.sched.Profiles[r.profile].RunReservePluginsUnreserve(s.ctx, r.state, r.pod, r.pod.Spec.NodeName)
	}
	s.reserved = nil
	for _, pod := range d.came { // they stand behind those who were there first
		if err := s.Remove(pod); err != nil {
			return err
		}
	}
	for _, pod := range d.stored {
		if err := s.podStore.Delete(pod); err != nil {
			return fmt.Errorf("removing Pod %s: %w", podName(pod), err)
		}
	}
	emptier := map[string]bool{}
	for _, pod := range d.left {
		emptier[pod.Spec.NodeName] = true
	}
	for node := range emptier {
		if err := s.refill(d.onNode[node]); err != nil {
			return err
		}
	}
	for _, node := range d.marked {
		s.sched.Cache.UpdateNode(klog.Logger{}, node, d.nodes[node.Name])
	}
	*s.sched = s.initial
	return nil
}

// refill takes all Pods off a node and puts those on it that were there first.
func (s *Simulator) refill(pods []*corev1.Pod) error {
	for _, pod := range pods {
		known := s.bound[pod.UID]
		if known == nil {
			continue
		}
		if err := s.sched.Cache.RemovePod(klog.Logger{}, known); err != nil {
			return fmt.Errorf("removing Pod %s: %w", podName(pod), err)
		}
		delete(s.bound, pod.UID)
		s.view.remove(known)
	}
	for _, pod := range pods {
		if err := s.add(pod); err != nil {
			return err
		}
	}
	return nil
}
