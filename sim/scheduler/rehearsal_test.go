package scheduler_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// spreadCluster has n nodes in three zones and apps of Pods with two spread
// constraints each.
func spreadCluster(n, perNode, apps int, when corev1.UnsatisfiableConstraintAction) scheduler.Objects {
	objects := scheduler.Objects{Nodes: nodes(n, 3)}
	for i := range n * perNode {
		app := fmt.Sprintf("app-%d", i%apps)
		p := pod(fmt.Sprintf("p%06d", i), 100, ownedBy("ReplicaSet"), labelled(app), on(fmt.Sprintf("n%04d", i%n)))
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
				MaxSkew: 2, TopologyKey: key, WhenUnsatisfiable: when,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			})
		}
		objects.Pods = append(objects.Pods, p)
	}
	return objects
}

// crowded draws a small cluster in which losses push Pods out. The Pods of an app
// are alike, or each is something else.
func crowded(t *rapid.T) scheduler.Objects {
	objects := spreadCluster(rapid.IntRange(3, 6).Draw(t, "nodes"), 3, 3, rapid.SampledFrom([]corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}).Draw(t, "when"))
	var kinds []func(*corev1.Pod)
	for range rapid.SampledFrom([]int{3, len(objects.Pods)}).Draw(t, "kinds") {
		requests := pod("x", rapid.Int64Range(100, 1500).Draw(t, "cpu")).Spec.Containers[0].Resources.Requests
		priority := withPriority(rapid.Int32Range(0, 3).Draw(t, "priority"))
		owner := ownedBy(rapid.SampledFrom([]string{"ReplicaSet", "ReplicaSet", "StatefulSet", "DaemonSet"}).Draw(t, "owner"))
		kinds = append(kinds, func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = requests
			priority(p)
			owner(p)
		})
	}
	for i, p := range objects.Pods {
		kinds[i%len(kinds)](p)
		if i%5 == 0 {
			objects.Others = append(objects.Others, &policyv1.PodDisruptionBudget{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: p.Name},
				Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: p.Labels}},
				Status:     policyv1.PodDisruptionBudgetStatus{DesiredHealthy: 2},
			})
		}
	}
	return objects
}

// A loss begins with the cluster as it is, whatever was lost before it: one after
// the other, side by side and alone give the same.
func TestEachLossBeginsAnew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		objects := crowded(t)
		targets := scheduler.Targets(objects.Nodes)
		told := 0
		each, err := scheduler.LoseEach(t.Context(), objects, scheduler.Options{}, targets, func(*scheduler.Loss) { told++ })
		require.NoError(t, err)
		require.Equal(t, len(targets), told)
		again := scheduler.NewRehearsal(t.Context(), objects, scheduler.Options{})
		defer again.Close()
		for i := len(targets) - 1; i >= 0; i-- {
			alone, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, targets[i].Name, targets[i].Nodes)
			require.NoError(t, err)
			require.Equal(t, alone, each[i], targets[i].Name)
			backwards, err := again.Lose(targets[i].Name, targets[i].Nodes)
			require.NoError(t, err)
			require.Equal(t, alone, backwards, targets[i].Name)
		}
	})
}

// More than a hundred nodes: the search begins where the last one ended, and so
// has to begin at the first node again.
func TestEachLossBeginsAtTheFirstNode(t *testing.T) {
	t.Parallel()
	objects := spreadCluster(130, 2, 20, corev1.ScheduleAnyway)
	targets := scheduler.NodeTargets(objects.Nodes)[:5]
	each, err := scheduler.LoseEach(t.Context(), objects, scheduler.Options{}, targets, nil)
	require.NoError(t, err)
	for i, target := range targets {
		alone, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, target.Name, target.Nodes)
		require.NoError(t, err)
		require.Equal(t, alone, each[i])
	}
}

// Claims that are not bound are only reserved while a loss is played.
func TestEachLossReservesAnew(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "ephemeral")
	r := scheduler.NewRehearsal(t.Context(), objects, scheduler.Options{})
	defer r.Close()
	first, err := r.Lose("w0", []string{"w0"})
	require.NoError(t, err)
	for range 3 {
		again, err := r.Lose("w0", []string{"w0"})
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}

// Nothing to lose proves nothing.
func TestLoseNothing(t *testing.T) {
	t.Parallel()
	_, err := scheduler.Lose(t.Context(), scheduler.Objects{Nodes: nodes(3, 1)}, scheduler.Options{}, "n", []string{"n0001"})
	require.ErrorIs(t, err, scheduler.ErrNoPods)
	_, err = scheduler.LoseEach(t.Context(), scheduler.Objects{Nodes: nodes(3, 1)}, scheduler.Options{}, scheduler.NodeTargets(nodes(3, 1)), nil)
	require.ErrorIs(t, err, scheduler.ErrNoPods)
}

// A drain asks the budgets: what they allow goes in rounds, the rest is blocked.
func TestDrain(t *testing.T) {
	t.Parallel()
	budget := func(desired int32) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
			Status:     policyv1.PodDisruptionBudgetStatus{DesiredHealthy: desired},
		}
	}
	objects := scheduler.Objects{Nodes: nodes(4, 2), Pods: []*corev1.Pod{
		pod("a", 100, on("n0000"), ownedBy("ReplicaSet"), labelled("web")),
		pod("agent", 100, on("n0000"), ownedBy("DaemonSet")),
		pod("b", 100, on("n0000"), ownedBy("ReplicaSet"), labelled("web")),
		pod("bare", 100, on("n0001")),
		pod("c", 100, on("n0001"), ownedBy("StatefulSet"), labelled("web")),
	}}
	objects.Others = append(objects.Others, budget(2))
	drained, err := scheduler.Drain(t.Context(), objects, scheduler.Options{}, "drain", []string{"n0000", "n0001"})
	require.NoError(t, err)
	require.Equal(t, []int{3, 0, 1}, []int{drained.Placed, drained.Pending, drained.Blocked})
	for _, p := range drained.Pods {
		if p.Placement != nil {
			require.Contains(t, []string{"n0002", "n0003"}, p.Placement.Node, "both are cordoned first")
		}
	}
	objects.Others[0] = budget(3)
	drained, err = scheduler.Drain(t.Context(), objects, scheduler.Options{}, "drain", []string{"n0000", "n0001"})
	require.NoError(t, err)
	require.Equal(t, []int{0, 0, 4}, []int{drained.Placed, drained.Pending, drained.Blocked})
	require.Equal(t, "PodDisruptionBudget default/web allows no eviction", drained.Pods[len(drained.Pods)-1].Blocked)
}
