package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

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
