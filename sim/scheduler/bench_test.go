package scheduler_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

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

// BenchmarkLoseEach is `lose --each`: 150 nodes and 900 Pods, and 1000 nodes and
// 20,000 Pods that are spread over hosts and zones. In seconds of CPU.
func BenchmarkLoseEach(b *testing.B) {
	small := scheduler.Objects{Nodes: nodes(150, 3)}
	for i := range 900 {
		small.Pods = append(small.Pods, pod(fmt.Sprintf("p%03d", i), 200, ownedBy("ReplicaSet"), on(fmt.Sprintf("n%04d", i%150))))
	}
	for _, bench := range []struct {
		name    string
		objects scheduler.Objects
	}{
		{"150Nodes", small},
		{"1000NodesSpreadAnyway", spreadCluster(1000, 20, 500, corev1.ScheduleAnyway)},
		{"1000NodesSpreadStrictly", spreadCluster(1000, 20, 500, corev1.DoNotSchedule)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			targets := scheduler.Targets(bench.objects.Nodes)
			before := cpuSeconds(b)
			for b.Loop() {
				losses, err := scheduler.LoseEach(b.Context(), bench.objects, scheduler.Options{}, targets, nil)
				require.NoError(b, err)
				require.Equal(b, len(bench.objects.Pods)/len(bench.objects.Nodes), losses[0].Placed+losses[0].Pending)
			}
			b.ReportMetric((cpuSeconds(b)-before)/float64(b.N), "cpu-s/op")
		})
	}
}

// cpuSeconds is what this process has used.
func cpuSeconds(b *testing.B) float64 {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
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
	r := scheduler.NewRehearsal(t.Context(), objects, scheduler.Options{})
	defer r.Close()
	loss, err := r.Lose("node n0007", []string{"n0007"})
	require.NoError(t, err)
	require.Equal(t, 50, loss.Placed)
	live := liveHeap()
	t.Logf("%d MB live", live/1e6)
	require.Less(t, live, uint64(1e9))
}
