package scheduler

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// ErrProfile says that no profile of the configuration has the scheduler name
// that a Pod asks for: a real kube-scheduler would not look at the Pod.
var ErrProfile = errors.New("no profile of that scheduler name")

// Place schedules one Pod as the next in the queue and binds it in memory. A
// Pod that does not fit is a Placement without a node; where preemption makes
// room, the victims are removed at once and the Pod is tried again, as the
// queue would after their last second of grace.
//
// The error is ErrProfile, or what a plugin could not do.
func (s *Simulator) Place(pod *corev1.Pod, detail bool) (*Placement, error) {
	return s.place(pod, kindOf(pod), detail)
}

func (s *Simulator) place(pod *corev1.Pod, kind string, detail bool) (*Placement, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if _, known := s.profileOf(pod); !known {
		return nil, fmt.Errorf("placing Pod %s: %w: %q", podName(pod), ErrProfile, pod.Spec.SchedulerName)
	}
	pod = pod.DeepCopy()
	pod.Spec.NodeName = ""
	if err := s.podStore.Add(pod); err != nil {
		return nil, fmt.Errorf("placing Pod %s: %w", podName(pod), err)
	}
	c := &cycle{sim: s, pod: pod, kind: kind, detail: detail, result: &Placement{Pod: podName(pod), Profile: pod.Spec.SchedulerName, Start: -1}}
	if err := c.run(); err != nil {
		return nil, fmt.Errorf("placing Pod %s: %w", podName(pod), err)
	}
	return c.result, nil
}

// cycle is one Pod on its way through the scheduler.
type cycle struct {
	sim    *Simulator
	pod    *corev1.Pod
	kind   string // of the Pod, see kindOf
	detail bool
	result *Placement

	state    fwk.CycleState
	recorder *recorder
}

func (c *cycle) run() error {
	framework := c.sim.sched.Profiles[c.pod.Spec.SchedulerName]
	for _, gate := range framework.PreEnqueuePlugins() {
		if status := gate.PreEnqueue(c.sim.ctx, c.pod); !status.IsSuccess() {
			c.result.Message = status.Message()
			return nil
		}
	}
	fitErr, err := c.attempt(framework)
	if err != nil || fitErr == nil {
		return err
	}
	preempted, err := c.preempt(framework, fitErr)
	if err != nil || !preempted {
		return err
	}
	_, err = c.attempt(framework)
	return err
}

// attempt is one scheduling cycle: filter, score, reserve, bind. A Pod that
// fits nowhere is a FitError, apart from other errors.
func (c *cycle) attempt(profile framework.Framework) (*framework.FitError, error) {
	s := c.sim
	if err := s.sched.Cache.UpdateSnapshot(klog.Logger{}, s.snapshot); err != nil {
		return nil, err
	}
	info, err := framework.NewPodInfo(c.pod)
	if err != nil {
		return nil, err
	}
	c.state = framework.NewCycleState()
	c.state.Write(framework.PodsToActivateKey, framework.NewPodsToActivate())
	c.recorder = &recorder{Framework: s.remember(profile, c.kind), position: s.position, detail: c.detail}
	result, err := s.sched.SchedulePod(s.ctx, c.recorder, c.state, &framework.QueuedPodInfo{PodInfo: info})
	c.result.Start = c.recorder.startOffset(c.pod.Status.NominatedNodeName)
	c.result.Wanted = int(Threshold(int32(len(s.order)), s.config.Percentage(c.pod.Spec.SchedulerName)))
	var fitErr *framework.FitError
	switch {
	case errors.As(err, &fitErr):
		c.result.Message = fitErr.Error()
		c.result.Filtered = fitErr.Diagnosis.NodeToStatus.Len()
		if c.detail {
			c.explain(fitErr.Diagnosis.NodeToStatus.Get)
		}
		return fitErr, nil
	case err != nil:
		return nil, err
	}
	c.result.Feasible, c.result.Filtered = result.FeasibleNodes, result.EvaluatedNodes
	c.result.Ties, c.result.Margin = c.recorder.ties, c.recorder.margin
	if c.detail {
		c.explain(nil)
	}
	return nil, c.bind(profile, result)
}

// bind reserves what the Pod needs on its node and puts it there. Volumes are
// not bound: PreBind waits for the controllers that provision them.
func (c *cycle) bind(profile framework.Framework, result scheduler.ScheduleResult) error {
	s, node := c.sim, result.SuggestedHost
	bound := c.pod.DeepCopy()
	bound.Spec.NodeName = node
	bound.Status.NominatedNodeName = ""
	s.sched.SchedulingQueue.Delete(klog.Logger{}, bound) // with its nomination
	if status := profile.RunReservePluginsReserve(s.ctx, c.state, bound, node); !status.IsSuccess() {
		profile.RunReservePluginsUnreserve(s.ctx, c.state, bound, node)
		c.result.Message = status.Message()
		return nil
	}
	if err := s.add(bound); err != nil {
		return err
	}
	s.reserve(c, bound)
	if err := c.writeDevices(profile, bound); err != nil {
		return err
	}
	c.result.Node, c.result.Placed = node, bound
	return nil
}

// writeDevices writes what Reserve allocated to the Pod's ResourceClaims, so that
// Pods that share a claim find it allocated: one that is only being allocated
// makes them wait. It is PreBind without the volumes; the context that has
// ended already keeps it from waiting for a driver to attach a device.
func (c *cycle) writeDevices(profile framework.Framework, bound *corev1.Pod) error {
	if len(bound.Spec.ResourceClaims) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(c.sim.ctx)
	cancel()
	c.state.SetSkipPreBindPlugins(sets.New(names.VolumeBinding))
	status := profile.RunPreBindPlugins(ctx, c.state, bound, bound.Spec.NodeName)
	if err := status.AsError(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// preempt runs the PostFilter plugins. When they found room, the victims are
// taken out and the Pod carries the nomination.
func (c *cycle) preempt(profile framework.Framework, fitErr *framework.FitError) (bool, error) {
	if !profile.HasPostFilterPlugins() {
		return false, nil
	}
	s := c.sim
	s.victims.take() // of a search that ended in an error
	result, status := profile.RunPostFilterPlugins(s.ctx, c.state, c.pod, inOrder{fitErr.Diagnosis.NodeToStatus, s.position})
	fitErr.Diagnosis.PostFilterMsg = status.Message() // an error's, too: schedulingAlgorithm goes on after it
	c.result.Message = fitErr.Error()
	victims, violations := s.victims.take()
	if !status.IsSuccess() || result == nil || result.NominatingInfo == nil || result.NominatedNodeName == "" || len(victims) == 0 {
		return false, nil
	}
	c.result.Victims = victims
	c.result.Preemption = &Preemption{Node: result.NominatedNodeName, Violations: violations}
	for _, victim := range victims {
		c.result.Preemption.Victims = append(c.result.Preemption.Victims, podName(victim))
		if err := s.Remove(victim); err != nil {
			return false, err
		}
	}
	c.pod = c.pod.DeepCopy()
	c.pod.Status.NominatedNodeName = result.NominatedNodeName
	return true, s.podStore.Add(c.pod)
}
