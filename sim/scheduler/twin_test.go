package scheduler_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	k8sscheduler "k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/profile"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// The twin is kube-scheduler's own loop, ScheduleOne with its queue, its event
// handlers and its binding, over a fake API server. What it decides and what
// events it sends is what a Simulator has to say.
type twin struct {
	*k8sscheduler.Scheduler
	client *fake.Clientset
	ctx    context.Context

	sync.Mutex
	messages map[string]string // first FailedScheduling event, by Pod
	scores   map[string][]fwk.NodePluginScores
	fits     map[string]map[string]bool // by Pod and node: did every filter let it pass
}

func startTwin(t *testing.T, objects scheduler.Objects) (tw *twin, end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), klog.Logger{}))
	tw = &twin{ctx: ctx, client: fake.NewClientset(objects.Others...), messages: map[string]string{}, scores: map[string][]fwk.NodePluginScores{}, fits: map[string]map[string]bool{}}
	informers := k8sscheduler.NewInformerFactory(tw.client, 0, nil)
	recorders := func(string) events.EventRecorderLogger { return &eventLog{twin: tw} }
	var err error
	tw.Scheduler, err = k8sscheduler.New(ctx, tw.client, informers, nil, profile.RecorderFactory(recorders), k8sscheduler.WithParallelism(1))
	require.NoError(t, err)
	tw.Profiles[corev1.DefaultSchedulerName] = &scoreLog{tw.Profiles[corev1.DefaultSchedulerName], tw}
	informers.Start(ctx.Done())
	informers.WaitForCacheSync(ctx.Done())
	require.NoError(t, tw.WaitForHandlersSync(ctx))
	end = func() {
		stop()
		tw.SchedulingQueue.Close()
		informers.Shutdown()
	}
	for i, node := range (scheduler.Order{}).Arrange(objects.Nodes) { // one by one: the order of arrival is stated
		_, err := tw.client.CoreV1().Nodes().Create(ctx, node.DeepCopy(), metav1.CreateOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return tw.Cache.NodeCount() == i+1 }, 10*time.Second, 100*time.Microsecond)
	}
	for _, pod := range objects.Pods {
		tw.create(t, pod)
	}
	return tw, end
}

func (tw *twin) create(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	_, err := tw.client.CoreV1().Pods(pod.Namespace).Create(tw.ctx, pod.DeepCopy(), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return tw.known(pod) }, 10*time.Second, 100*time.Microsecond, "%s", pod.Name)
}

func (tw *twin) known(pod *corev1.Pod) bool {
	if pod.Spec.NodeName != "" {
		_, err := tw.Cache.GetPod(pod)
		return err == nil
	}
	_, queued := tw.SchedulingQueue.GetPod(pod.Name, pod.Namespace, nil)
	return queued
}

// schedule lets the loop take one Pod, and waits for its binding.
func (tw *twin) schedule(t *testing.T, pod *corev1.Pod) (node string) {
	t.Helper()
	tw.create(t, pod)
	tw.ScheduleOne(tw.ctx)
	name := pod.Namespace + "/" + pod.Name
	require.Eventually(t, func() bool {
		tw.Lock()
		defer tw.Unlock()
		if tw.messages[name] != "" {
			return true
		}
		for _, action := range tw.client.Actions() {
			if write, ok := action.(interface{ GetObject() runtime.Object }); ok {
				if node = decided(pod, write.GetObject()); node != "" {
					return true
				}
			}
		}
		return false
	}, 10*time.Second, 100*time.Microsecond, "%s", name)
	return node
}

// decided is the node that a write of the scheduler names for the Pod: its
// binding, or before that what a claim is told that waits for its consumer.
func decided(pod *corev1.Pod, written runtime.Object) string {
	switch o := written.(type) {
	case *corev1.Binding:
		if o.Name == pod.Name && o.Namespace == pod.Namespace {
			return o.Target.Name
		}
	case *corev1.PersistentVolumeClaim:
		if claims(pod, o.Name) {
			return o.Annotations[volume.AnnSelectedNode]
		}
	case *corev1.PersistentVolume:
		if ref := o.Spec.ClaimRef; ref != nil && claims(pod, ref.Name) {
			return o.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]
		}
	}
	return ""
}

// claims says whether a Pod uses a claim.
func claims(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name
	})
}

// forget takes a Pod that fits nowhere out of the queue, so that the next turn
// of the loop is the next Pod's.
func (tw *twin) forget(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	require.NoError(t, tw.client.CoreV1().Pods(pod.Namespace).Delete(tw.ctx, pod.Name, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { return !tw.known(pod) }, 10*time.Second, 100*time.Microsecond)
}

// eventLog keeps the scheduler's events.
type eventLog struct{ twin *twin }

func (l *eventLog) Eventf(regarding, _ runtime.Object, _, reason, _, note string, args ...any) {
	pod, ok := regarding.(*corev1.Pod)
	if !ok || reason != "FailedScheduling" {
		return
	}
	l.twin.Lock()
	defer l.twin.Unlock()
	name := pod.Namespace + "/" + pod.Name
	if l.twin.messages[name] == "" {
		l.twin.messages[name] = fmt.Sprintf(note, args...)
	}
}

func (l *eventLog) WithLogger(klog.Logger) events.EventRecorderLogger { return l }

// scoreLog keeps what filters and scores say.
type scoreLog struct {
	framework.Framework
	twin *twin
}

func (l *scoreLog) RunFilterPluginsWithNominatedPods(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, info fwk.NodeInfo) *fwk.Status {
	status := l.Framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, info)
	l.twin.Lock()
	defer l.twin.Unlock()
	name := pod.Namespace + "/" + pod.Name
	if l.twin.fits[name] == nil {
		l.twin.fits[name] = map[string]bool{}
	}
	l.twin.fits[name][info.Node().Name] = status.IsSuccess()
	return status
}

func (l *scoreLog) RunScorePlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) ([]fwk.NodePluginScores, *fwk.Status) {
	scores, status := l.Framework.RunScorePlugins(ctx, state, pod, nodes)
	l.twin.Lock()
	defer l.twin.Unlock()
	l.twin.scores[pod.Namespace+"/"+pod.Name] = slices.Clone(scores)
	return scores, status
}

// On random clusters the Simulator and the real loop agree: the same nodes
// fit, every plugin gives every node the same score, the same node wins or one
// of the best where several are, and who fits nowhere gets the same event.
// Volumes that wait for their first consumer and devices are among what Pods
// ask for.
func TestTwin(t *testing.T) {
	t.Parallel()
	start(t, scheduler.Objects{Nodes: nodes(1, 1)}, scheduler.Options{}) // sets the gates, which the twin reads, too
	rapid.Check(t, func(rt *rapid.T) {
		cluster := drawCluster(rt)
		sim, err := scheduler.New(t.Context(), cluster, scheduler.Options{})
		require.NoError(rt, err)
		defer sim.Close()
		loop, end := startTwin(t, cluster)
		defer end()
		for i := range rapid.IntRange(1, 6).Draw(rt, "pods") {
			p := drawPod(rt, fmt.Sprintf("new-%d", i))
			want := loop.schedule(t, p)
			got := place(t, sim, p)
			name := "default/" + p.Name
			requireSameScores(rt, loop.scores[name], got.Nodes)
			if got.Preemption != nil {
				require.Empty(rt, fitting(loop.fits[name]))
				want, _, _ := strings.Cut(loop.messages[name], " preemption: ") // the rest names a node that a die chose
				said, _, _ := strings.Cut(got.Message, " preemption: ")
				require.Equal(rt, want, said)
				requirePickRules(rt, got)
				return // the real loop waits for its victims now
			}
			requireSameFeasible(rt, fitting(loop.fits[name]), got)
			if want == "" {
				require.Empty(rt, got.Node, "%s", loop.messages[name])
				require.Equal(rt, loop.messages[name], got.Message)
				loop.forget(t, p)
				continue
			}
			require.Equal(rt, want, got.Node, "%v", got.Ties)
			if claims(p, waiting) {
				return // the real loop waits for a controller to make the volume
			}
		}
	})
}

// fitting are the nodes that passed every filter, sorted.
func fitting(fits map[string]bool) (nodes []string) {
	for node, ok := range fits {
		if ok {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

func requireSameFeasible(rt *rapid.T, want []string, got *scheduler.Placement) {
	var found []string
	for _, v := range got.Nodes {
		if v.Rank > 0 {
			found = append(found, v.Node)
		}
	}
	slices.Sort(found)
	require.Equal(rt, want, found)
	require.Equal(rt, len(want), got.Feasible)
}

func requireSameScores(rt *rapid.T, want []fwk.NodePluginScores, got []scheduler.NodeVerdict) {
	wanted := map[string]map[string]int64{}
	for _, node := range want {
		wanted[node.Name] = map[string]int64{}
		for _, score := range node.Scores {
			wanted[node.Name][score.Name] = score.Score
		}
	}
	scored := map[string]map[string]int64{}
	for _, v := range got {
		if len(v.Scores) == 0 {
			continue
		}
		scored[v.Node] = map[string]int64{}
		for _, score := range v.Scores {
			scored[v.Node][score.Plugin] = score.Weighted
		}
	}
	require.Equal(rt, wanted, scored)
}

// requirePickRules checks what pickOneNodeForPreemption and the choice of
// victims promise, without repeating them: nobody of the same priority goes,
// and nobody goes for nothing.
func requirePickRules(rt *rapid.T, p *scheduler.Placement) {
	require.NotEmpty(rt, p.Victims)
	require.Equal(rt, p.Preemption.Node, p.Node)
	for _, victim := range p.Victims {
		require.Equal(rt, p.Node, victim.Spec.NodeName)
		require.Less(rt, *victim.Spec.Priority, *p.Placed.Spec.Priority)
	}
}
