package quorum

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkThreeMembers is a minute of three members at 200 writes per second,
// all invariants on: events per second, and how many times faster than real.
func BenchmarkThreeMembers(b *testing.B) {
	g := given(3)
	g.Load.Writes, g.Load.Reads = 200, 0
	events, virtual := uint64(0), time.Duration(0)
	for i := 0; b.Loop(); i++ {
		c, err := Engine{}.start(g, uint64(i))
		require.NoError(b, err)
		require.NoError(b, c.Advance(b.Context(), time.Minute))
		events, virtual = events+c.Count(), virtual+c.Now()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "x-real-time")
}
