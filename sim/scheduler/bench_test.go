package scheduler_test

import (
	"fmt"
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
			objects := scheduler.Objects{Nodes: nodes(max(150, pods/100), 3)}
			for i := range pods {
				objects.Pods = append(objects.Pods, pod(fmt.Sprintf("p%06d", i), 1, on(objects.Nodes[i%len(objects.Nodes)].Name)))
			}
			b.ReportAllocs()
			for b.Loop() {
				sim, err := scheduler.New(b.Context(), objects, scheduler.Options{})
				require.NoError(b, err)
				sim.Close()
			}
		})
	}
}
