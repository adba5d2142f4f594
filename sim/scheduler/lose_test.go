package scheduler_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func labelled(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Labels = map[string]string{"app": app}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
}

// The most important goes first, pushes somebody out, and that one is placed
// again, too, or waits.
func TestLosePushesOut(t *testing.T) {
	t.Parallel()
	objects := scheduler.Objects{
		Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b")},
		Pods: []*corev1.Pod{
			pod("important", 3000, on("n1"), ownedBy("ReplicaSet"), withPriority(100), labelled("important")),
			pod("small", 500, on("n1"), ownedBy("ReplicaSet"), withPriority(50)),
			pod("cheap", 3000, on("n2"), ownedBy("ReplicaSet"), withPriority(1)),
			pod("bare", 100, on("n1")),
			pod("agent", 100, on("n1"), ownedBy("DaemonSet")),
		},
		Others: []runtime.Object{&policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "important"},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "important"}}},
			Status:     policyv1.PodDisruptionBudgetStatus{DesiredHealthy: 1},
		}},
	}
	loss, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, "node n1", []string{"n1"})
	require.NoError(t, err)
	fates := map[string]scheduler.LostPod{}
	for _, p := range loss.Pods {
		fates[p.Pod] = p
	}
	require.Equal(t, "n2", fates["default/important"].Placement.Node)
	require.Equal(t, []string{"default/cheap"}, fates["default/important"].Placement.Preemption.Victims)
	require.Equal(t, "n2", fates["default/small"].Placement.Node)
	require.Equal(t, scheduler.Preempted, fates["default/cheap"].Cause)
	require.True(t, fates["default/cheap"].Placement.Node == "")
	require.Contains(t, fates["default/cheap"].Placement.Message, "1 node(s) had untolerated taint(s)", "the lost node still counts")
	require.Equal(t, nodeloss.Gone, fates["default/bare"].Comeback)
	require.Equal(t, nodeloss.Stays, fates["default/agent"].Comeback)
	require.Equal(t, []int{2, 1, 1, 1}, []int{loss.Placed, loss.Pending, loss.Preempted, loss.Gone})
	require.Equal(t, []scheduler.BudgetBreak{{Budget: "default/important", Desired: 1, AtOnce: 0, After: 1}}, loss.Budgets)
	require.Len(t, loss.Zones, 1)
	require.Equal(t, "500m", loss.Zones[0].CPU.String())

	require.Equal(t, "n1", objects.Pods[0].Spec.NodeName, "what was given is not changed")
	require.Nil(t, objects.Pods[0].DeletionTimestamp)
	require.Empty(t, objects.Nodes[0].Spec.Taints)
	_, err = scheduler.Lose(t.Context(), objects, scheduler.Options{}, "?", []string{"nobody"})
	require.ErrorIs(t, err, scheduler.ErrNoSuchNode)
}

// A Pod pushes another out and fits nowhere all the same: for preemption it would
// help the spread that a Pod goes which the spread, as it is terminating, does not
// count. Who had to go is told, and stands there again when the next loss begins.
func TestLosePushesOutInVain(t *testing.T) {
	t.Parallel()
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}}
	}
	terminating := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: p.CreationTimestamp.Time} }
	objects := scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b")}, Pods: []*corev1.Pod{
		pod("important", 3000, on("n1"), ownedBy("ReplicaSet"), withPriority(100), labelled("web"), spread),
		pod("stays", 100, on("n2"), ownedBy("ReplicaSet"), withPriority(100), labelled("web")),
		pod("cheap", 3000, on("n2"), ownedBy("ReplicaSet"), withPriority(1)),
		pod("going", 100, on("n2"), ownedBy("ReplicaSet"), withPriority(1), labelled("web"), terminating),
	}}
	r := scheduler.NewRehearsal(t.Context(), objects, scheduler.Options{})
	defer r.Close()
	loss, err := r.Lose("n1", []string{"n1"})
	require.NoError(t, err)
	require.Equal(t, "default/important", loss.Pods[0].Pod)
	require.True(t, loss.Pods[0].Pending())
	require.Equal(t, []string{"default/cheap"}, loss.Pods[0].Placement.Preemption.Victims)
	require.Len(t, loss.Pods, 2)
	require.Equal(t, scheduler.Preempted, loss.Pods[1].Cause)
	require.Equal(t, "n2", loss.Pods[1].Placement.Node)
	require.Equal(t, []int{1, 1, 1}, []int{loss.Placed, loss.Pending, loss.Preempted})
	again, err := r.Lose("n1", []string{"n1"})
	require.NoError(t, err)
	require.Equal(t, loss, again)
}

// A Pod of an operator's custom resource is made again by the operator: it
// needs its room, whatever the library knows of it. A master's room is nobody's.
func TestLoseCountsCustomOwners(t *testing.T) {
	t.Parallel()
	master := node("m1", "b")
	master.Spec.Taints = []corev1.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}}
	loss, err := scheduler.Lose(t.Context(), scheduler.Objects{
		Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b"), master},
		Pods: []*corev1.Pod{
			pod("kafka-0", 3000, on("n1"), ownedBy("StrimziPodSet")),
			pod("kafka-1", 3000, on("n2"), ownedBy("StrimziPodSet")),
		},
	}, scheduler.Options{}, "node n1", []string{"n1"})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 0, 1}, []int{loss.Placed, loss.Pending, loss.Gone, loss.Assumed})
	require.Contains(t, loss.Pods[0].Reason(), "Insufficient cpu")
	require.Len(t, loss.Zones, 1)
	require.Equal(t, 1, loss.Zones[0].Nodes)
	require.Equal(t, "1", loss.Zones[0].CPU.String())
}

// A spread that can no longer be kept is named.
func TestLoseBreaksSpread(t *testing.T) {
	t.Parallel()
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}}
	}
	full := node("n3", "b")
	full.Spec.Unschedulable = true
	objects := scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b"), full}}
	for i, on1 := range []string{"n1", "n1", "n2", "n3"} {
		objects.Pods = append(objects.Pods, pod(string(rune('a'+i)), 100, on(on1), ownedBy("ReplicaSet"), labelled("web"), spread))
	}
	loss, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, "node n2", []string{"n2"})
	require.NoError(t, err)
	require.Equal(t, []scheduler.SkewBreak{{
		Namespace: "default", Selector: "app=web", Key: corev1.LabelTopologyZone, MaxSkew: 1, Skew: 2,
	}}, loss.Skews)
}

func TestTargets(t *testing.T) {
	t.Parallel()
	require.Equal(t, []scheduler.Target{
		{"node n1", []string{"n1"}}, {"node n2", []string{"n2"}}, {"node n3", []string{"n3"}}, {"zone a", []string{"n1", "n2"}},
	}, scheduler.Targets([]*corev1.Node{node("n1", "a"), node("n2", "a"), node("n3", "b")}))
}

func TestQueueOrder(t *testing.T) {
	t.Parallel()
	younger := pod("b", 1)
	younger.CreationTimestamp = metav1.NewTime(younger.CreationTimestamp.Add(time.Hour))
	var names []string
	for _, p := range scheduler.ByQueue([]*corev1.Pod{younger, pod("c", 1), pod("z", 1, withPriority(9)), pod("a", 1)}) {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"z", "a", "c", "b"}, names)
}

func TestSpread(t *testing.T) {
	t.Parallel()
	objects := scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a"), node("n2", "a")}, Pods: []*corev1.Pod{pod("x", 3000, on("n1"))}}
	flip := scheduler.Objects{Nodes: objects.Nodes}
	seeds := []uint64{1, 2, 3, 4, 5, 6}
	stable, err := scheduler.Spread(t.Context(), objects, scheduler.Options{}, []*corev1.Pod{pod("new", 100)}, seeds)
	require.NoError(t, err)
	require.Equal(t, []scheduler.Stability{{Pod: "default/new", Stable: true, Shares: []scheduler.Share{{"n2", 6}}, Nodes: 1}}, stable)
	coin, err := scheduler.Spread(t.Context(), flip, scheduler.Options{}, []*corev1.Pod{pod("new", 100)}, seeds)
	require.NoError(t, err)
	require.False(t, coin[0].Stable)
	require.Equal(t, 6, coin[0].Ties)
}
