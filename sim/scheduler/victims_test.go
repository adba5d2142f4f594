package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// Preemption in vain says of each node why, as the plugin would: where somebody has
// a lower priority, and where nobody has.
func TestPreemptsInVain(t *testing.T) {
	t.Parallel()
	s := start(t, scheduler.Objects{Nodes: nodes(3, 3), Pods: []*corev1.Pod{
		pod("low", 100, on("n0000")), pod("equal", 1500, on("n0000"), withPriority(9)), pod("alone", 1500, on("n0001"), withPriority(9)),
		pod("lower", 1500, on("n0002"), withPriority(8)),
	}}, scheduler.Options{})
	huge := pod("huge", 3000, withPriority(9), func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "zone-0"}
	})
	require.Equal(t, "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. "+
		"preemption: 0/3 nodes are available: 1 Insufficient cpu, 2 Preemption is not helpful for scheduling.", place(t, s, huge).Message)
	huge.Spec.NodeSelector = nil
	require.Equal(t, []string{"default/lower"}, place(t, s, huge).Preemption.Victims)
	again := pod("again", 3000, withPriority(9))
	require.Equal(t, "0/3 nodes are available: 3 Insufficient cpu. "+
		"preemption: 0/3 nodes are available: 1 Insufficient cpu, 2 No preemption victims found for incoming pod.", place(t, s, again).Message)
}

// Where nobody has a lower priority, looking for somebody to preempt costs
// about as much as not looking, for no node is copied. What it says is what the
// twins say, whose plugin is as it comes.
func TestNobodyToPreemptCostsLittle(t *testing.T) { // counts allocations: not in parallel
	const n = 200
	objects := spreadCluster(n, 5, 100, corev1.DoNotSchedule)
	s := start(t, objects, scheduler.Options{})
	huge := pod("huge", 4000, withPriority(0))
	huge.Spec.TopologySpreadConstraints, huge.Labels = objects.Pods[0].Spec.TopologySpreadConstraints, objects.Pods[0].Labels
	allocations := func(says string) float64 {
		return testing.AllocsPerRun(3, func() {
			placed, err := s.Place(huge, false)
			require.NoError(t, err)
			require.Contains(t, placed.Message, says)
		})
	}
	looking := allocations("preemption: 0/200 nodes are available: 200 No preemption victims found for incoming pod")
	never := corev1.PreemptNever
	huge.Spec.PreemptionPolicy = &never
	require.Less(t, looking, 2*allocations("not eligible due to preemptionPolicy=Never"))
}
