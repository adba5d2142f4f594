package scheduler_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// BenchmarkPlace is Pods per second on one core, at a cluster's size.
func BenchmarkPlace(b *testing.B) {
	for _, n := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("%dNodes", n), func(b *testing.B) {
			sim := start(b, scheduler.Objects{Nodes: nodes(n, 3)}, scheduler.Options{})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				placed, err := sim.Place(pod(fmt.Sprintf("p%d", i), 1), false)
				require.NoError(b, err)
				require.NotEmpty(b, placed.Node)
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pods/s")
		})
	}
}

// BenchmarkLoseEach is `lose --each` on 150 nodes and 900 Pods.
func BenchmarkLoseEach(b *testing.B) {
	objects := scheduler.Objects{Nodes: nodes(150, 3)}
	for i := range 900 {
		objects.Pods = append(objects.Pods, pod(fmt.Sprintf("p%03d", i), 200, ownedBy("ReplicaSet"), on(fmt.Sprintf("n%04d", i%150))))
	}
	targets := scheduler.Targets(objects.Nodes)
	for b.Loop() {
		for _, target := range targets {
			loss, err := scheduler.Lose(b.Context(), objects, scheduler.Options{}, target.Name, target.Nodes)
			require.NoError(b, err)
			require.Equal(b, 6*len(target.Nodes), loss.Placed+loss.Pending)
		}
	}
	b.ReportMetric(float64(len(targets)*b.N)/b.Elapsed().Seconds(), "losses/s")
}

// BenchmarkNew is a Simulator over a cluster that is full of Pods.
func BenchmarkNew(b *testing.B) {
	for _, pods := range []int{900, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%dPods", pods), func(b *testing.B) {
			objects := manyPods(pods)
			b.ReportAllocs()
			peak := uint64(0)
			for b.Loop() {
				sim, err := scheduler.New(b.Context(), objects, scheduler.Options{})
				require.NoError(b, err)
				peak = max(peak, liveHeap())
				sim.Close()
			}
			b.ReportMetric(float64(peak)/1e6, "MB-live")
		})
	}
}

// liveHeap is what is in use once the garbage is gone.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// manyPods is a cluster of n Pods, at most fifty on a node.
func manyPods(n int) scheduler.Objects {
	objects := scheduler.Objects{Nodes: nodes(max(150, n/50), 3)}
	for i := range n {
		objects.Pods = append(objects.Pods, pod(fmt.Sprintf("p%06d", i), 1, ownedBy("ReplicaSet"), on(objects.Nodes[i%len(objects.Nodes)].Name)))
	}
	return objects
}

// 100,000 Pods are placed and lost within a gigabyte, the Pods themselves
// included. It does not run beside other tests: they would be counted, too.
func TestHundredThousandPods(t *testing.T) {
	objects := manyPods(100_000)
	s, err := scheduler.New(t.Context(), objects, scheduler.Options{})
	require.NoError(t, err)
	defer s.Close()
	require.NotEmpty(t, place(t, s, pod("one-more", 100)).Node)
	loss, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, "node n0007", []string{"n0007"})
	require.NoError(t, err)
	require.Equal(t, 50, loss.Placed)
	live := liveHeap()
	t.Logf("%d MB live", live/1e6)
	require.Less(t, live, uint64(1e9))
}
