package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// told apart, replicas are tried one by one: an annotation is nothing to any plugin.
func toldApart(objects scheduler.Objects) scheduler.Objects {
	apart := objects
	apart.Pods = nil
	for _, p := range objects.Pods {
		p = p.DeepCopy()
		p.Annotations = map[string]string{"only": p.Name}
		apart.Pods = append(apart.Pods, p)
	}
	return apart
}

// What one replica is told is what the others are told, and what comes after them
// goes where it would have gone.
func TestReplicasAreRefusedAlike(t *testing.T) {
	t.Parallel()
	pending, placed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		objects := crowded(rt)
		targets := scheduler.Targets(objects.Nodes)
		each, err := scheduler.LoseEach(t.Context(), objects, scheduler.Options{}, targets, nil)
		require.NoError(rt, err)
		apart, err := scheduler.LoseEach(t.Context(), toldApart(objects), scheduler.Options{}, targets, nil)
		require.NoError(rt, err)
		require.Equal(rt, len(apart), len(each))
		for i := range each {
			requireSameFates(rt, apart[i], each[i])
			pending, placed = pending+each[i].Pending, placed+each[i].Placed
		}
	})
	require.Positive(t, pending)
	require.Positive(t, placed)
}

func requireSameFates(t require.TestingT, want, got *scheduler.Loss) {
	require.Equal(t, len(want.Pods), len(got.Pods))
	for i, pod := range want.Pods {
		a, b := pod.Placement, got.Pods[i].Placement
		require.Equal(t, a == nil, b == nil)
		if a == nil {
			continue
		}
		plain := func(p *scheduler.Placement) scheduler.Placement {
			copied := *p
			copied.Placed, copied.Victims = nil, nil
			return copied
		}
		require.Equal(t, plain(a), plain(b))
	}
	require.Equal(t, want.Budgets, got.Budgets)
	require.Equal(t, want.Skews, got.Skews)
}

// A zone is lost whose Pods may not go elsewhere: one of each kind is held
// against the nodes.
func TestReplicasAreTriedOnce(t *testing.T) { // counts allocations: not in parallel
	objects := spreadCluster(60, 10, 6, corev1.DoNotSchedule)
	lose := func(objects scheduler.Objects) float64 {
		r := scheduler.NewRehearsal(t.Context(), objects, scheduler.Options{})
		defer r.Close()
		return testing.AllocsPerRun(2, func() {
			loss, err := r.Lose("zone", scheduler.ZoneTargets(objects.Nodes)[0].Nodes)
			require.NoError(t, err)
			require.Greater(t, loss.Pending, 100)
		})
	}
	require.Less(t, 2*lose(objects), lose(toldApart(objects)))
}

// A Pod that is placed may raise the least that a zone holds: a replica of one
// that was refused before fits then.
func TestReplicaFitsAfterAnother(t *testing.T) {
	t.Parallel()
	honor, ignore := corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore
	only := func(node string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node} }
	}
	spread := func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector:      &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
			NodeAffinityPolicy: &ignore, NodeTaintsPolicy: &honor,
		}}
	}
	objects := scheduler.Objects{Nodes: nodes(3, 3), Pods: []*corev1.Pod{
		pod("stays", 1, labelled("a"), ownedBy("ReplicaSet"), on("n0001")),
		pod("p1", 1, labelled("a"), ownedBy("ReplicaSet"), on("n0000"), only("n0001"), spread),
		pod("p2", 1, labelled("a"), ownedBy("ReplicaSet"), on("n0000"), only("n0002")),
		pod("p3", 1, labelled("a"), ownedBy("ReplicaSet"), on("n0000"), only("n0001"), spread),
	}}
	loss, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, "n0000", []string{"n0000"})
	require.NoError(t, err)
	var went []string
	for _, p := range loss.Pods {
		went = append(went, p.Placement.Node)
	}
	require.Equal(t, []string{"", "n0002", "n0001"}, went)
}
