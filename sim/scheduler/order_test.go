package scheduler_test

import (
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	k8sscheduler "k8s.io/kubernetes/pkg/scheduler"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// "Zone 1: Node 1, Node 2, Node 3, Node 4; Zone 2: Node 5, Node 6" are walked
// in the order 1, 5, 2, 6, 3, 4.
func TestNodeOrderAlternatesZones(t *testing.T) {
	t.Parallel()
	list := []*corev1.Node{
		node("node-1", "zone-1"), node("node-2", "zone-1"), node("node-3", "zone-1"), node("node-4", "zone-1"),
		node("node-5", "zone-2"), node("node-6", "zone-2"),
	}
	order, err := scheduler.NodeOrder(t.Context(), scheduler.Order{}.Arrange(list))
	require.NoError(t, err)
	require.Equal(t, []string{"node-1", "node-5", "node-2", "node-6", "node-3", "node-4"}, order)
	require.Equal(t, order, start(t, scheduler.Objects{Nodes: list}, scheduler.Options{}).NodeOrder())

	seen := map[string]bool{}
	for seed := range uint64(20) {
		order, err := scheduler.NodeOrder(t.Context(), scheduler.Order{By: scheduler.BySeed, Seed: seed}.Arrange(list))
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"node-1", "node-5", "node-2", "node-6", "node-3", "node-4"}, order)
		seen[order[0]] = true
	}
	require.Greater(t, len(seen), 2, "seeds give other orders")
}

//go:linkname numFeasibleNodesToFind k8s.io/kubernetes/pkg/scheduler.(*Scheduler).numFeasibleNodesToFind
func numFeasibleNodesToFind(s *k8sscheduler.Scheduler, percentageOfNodesToScore *int32, numAllNodes int32) int32

// Threshold is the scheduler's own function, for every cluster there can be.
func TestThresholdIsTheSchedulers(t *testing.T) {
	t.Parallel()
	for _, percentage := range []int32{0, 1, 5, 30, 50, 100} {
		for n := int32(1); n <= 20000; n++ {
			want := numFeasibleNodesToFind(&k8sscheduler.Scheduler{}, &percentage, n)
			if got := scheduler.Threshold(n, percentage); got != want {
				t.Fatalf("%d nodes at %d %%: %d, the scheduler says %d", n, percentage, got, want)
			}
		}
	}
	require.EqualValues(t, 100, scheduler.Threshold(100, 0), "not 50")
	require.EqualValues(t, 101, scheduler.Threshold(207, 0), "the first that scores more than 100")
	require.EqualValues(t, 812, scheduler.Threshold(3124, 0), "the most there is")
	require.EqualValues(t, 281, scheduler.Threshold(5625, 0), "the first at 5 percent")
}

// What Threshold says is what a real search does.
func TestThresholdInPlacements(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 50, 99, 100, 101, 150, 206, 207, 500, 1000} {
		p := place(t, start(t, scheduler.Objects{Nodes: nodes(n, 3)}, scheduler.Options{}), pod("p", 100))
		require.Equal(t, int(scheduler.Threshold(int32(n), 0)), p.Feasible, "%d nodes", n)
		require.Equal(t, p.Wanted, p.Feasible)
	}
}
