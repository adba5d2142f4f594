package scheduler_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
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
}

func startTwin(t *testing.T, objects scheduler.Objects) (tw *twin, end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), klog.Logger{}))
	tw = &twin{ctx: ctx, client: fake.NewClientset(objects.Others...), messages: map[string]string{}, scores: map[string][]fwk.NodePluginScores{}}
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
			if create, ok := action.(interface{ GetObject() runtime.Object }); ok && action.GetSubresource() == "binding" {
				if binding, ok := create.GetObject().(*corev1.Binding); ok && binding.Name == pod.Name && binding.Namespace == pod.Namespace {
					node = binding.Target.Name
					return true
				}
			}
		}
		return false
	}, 10*time.Second, 100*time.Microsecond, "%s", name)
	return node
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

// scoreLog keeps the scores.
type scoreLog struct {
	framework.Framework
	twin *twin
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
				requirePickRules(rt, got)
				return // the real loop waits for its victims now
			}
			if want == "" {
				require.Empty(rt, got.Node, "%s", loop.messages[name])
				require.Equal(rt, loop.messages[name], got.Message)
				loop.forget(t, p)
				continue
			}
			require.Equal(rt, want, got.Node, "%v", got.Ties)
		}
	})
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

func drawCluster(rt *rapid.T) scheduler.Objects {
	var c scheduler.Objects
	n := rapid.IntRange(1, 12).Draw(rt, "nodes")
	for i := range n {
		node := node(fmt.Sprintf("n%02d", i), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(rt, "zone"))
		node.Spec.Unschedulable = rapid.IntRange(0, 9).Draw(rt, "cordoned") == 0
		if effect := rapid.SampledFrom([]corev1.TaintEffect{"", "", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule}).Draw(rt, "taint"); effect != "" {
			node.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "x", Effect: effect}}
		}
		if rapid.Bool().Draw(rt, "ssd") {
			node.Labels["disk"] = "ssd"
		}
		c.Nodes = append(c.Nodes, node)
	}
	for i := range rapid.IntRange(0, 20).Draw(rt, "bound") {
		p := drawPod(rt, fmt.Sprintf("old-%02d", i))
		p.Spec.NodeName = fmt.Sprintf("n%02d", rapid.IntRange(0, n-1).Draw(rt, "on"))
		c.Pods = append(c.Pods, p)
	}
	for _, app := range []string{"web", "db"} {
		c.Others = append(c.Others, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: app},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": app}},
		})
	}
	c.Others = append(c.Others, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	c.Others = append(c.Others, drawVolumes(rt, n)...)
	return c
}

// drawVolumes makes two bound claims on local volumes, and none for the third.
func drawVolumes(rt *rapid.T, n int) []runtime.Object {
	var objects []runtime.Object
	class := "local"
	for i := range 2 {
		name := fmt.Sprintf("data-%d", i)
		home := fmt.Sprintf("n%02d", rapid.IntRange(0, n-1).Draw(rt, "home"))
		size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		objects = append(objects,
			&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name}, Spec: corev1.PersistentVolumeSpec{
				Capacity: size, AccessModes: modes, StorageClassName: class,
				PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
				ClaimRef:               &corev1.ObjectReference{Namespace: "default", Name: name},
				NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{home}}},
				}}}},
			}},
			&corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
				Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: &class, VolumeName: "pv-" + name, Resources: corev1.VolumeResourceRequirements{Requests: size}},
				Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
			},
		)
	}
	return objects
}

// drawPod makes a Pod that asks for a few of the things that filters and
// scores look at.
func drawPod(rt *rapid.T, name string) *corev1.Pod {
	p := pod(name, int64(rapid.IntRange(0, 30).Draw(rt, "cpu"))*100, withPriority(int32(rapid.IntRange(0, 3).Draw(rt, "priority"))))
	app := rapid.SampledFrom([]string{"web", "db", "other"}).Draw(rt, "app")
	p.Labels = map[string]string{"app": app}
	selector := &metav1.LabelSelector{MatchLabels: p.Labels}
	key := rapid.SampledFrom([]string{corev1.LabelHostname, corev1.LabelTopologyZone}).Draw(rt, "key")
	term := corev1.PodAffinityTerm{LabelSelector: selector, TopologyKey: key}
	p.Spec.Affinity = &corev1.Affinity{}
	switch rapid.IntRange(0, 9).Draw(rt, "wish") {
	case 0:
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	case 1:
		p.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}
	case 2:
		p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 10, PodAffinityTerm: term}}}
	case 3, 4:
		when := rapid.SampledFrom([]corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}).Draw(rt, "when")
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: when, LabelSelector: selector}}
	case 5:
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 8080, ContainerPort: 80, Protocol: corev1.ProtocolTCP}}
	case 6:
		p.Spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
	case 7:
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprintf("data-%d", rapid.IntRange(0, 2).Draw(rt, "claim"))},
		}}}
	case 8:
		p.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 5, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}}},
		}}}
	}
	return p
}
