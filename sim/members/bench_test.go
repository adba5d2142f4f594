package members

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// BenchmarkDrill is one drill on both engines: the seconds that each takes, and
// how many seeds the virtual one plays meanwhile.
func BenchmarkDrill(b *testing.B) {
	data, err := scenarios.Read("lose-1-of-3")
	require.NoError(b, err)
	s, err := sim.Load("lose-1-of-3.yaml", data)
	require.NoError(b, err)
	one := sim.Range{First: 1, Last: 1}
	virtual, embedded := time.Duration(0), time.Duration(0)
	for b.Loop() {
		start := time.Now()
		_, err := drill.Run(b.Context(), s, data, drill.Options{Engine: sim.Virtual, Seeds: &one})
		require.NoError(b, err)
		virtual += time.Since(start)
		start = time.Now()
		_, err = drill.Run(b.Context(), s, data, drill.Options{Engine: sim.Embedded, Embedded: Engine{Dir: b.TempDir()}})
		require.NoError(b, err)
		embedded += time.Since(start)
	}
	b.ReportMetric(virtual.Seconds()/float64(b.N), "virtual-s")
	b.ReportMetric(embedded.Seconds()/float64(b.N), "embedded-s")
	b.ReportMetric(embedded.Seconds()/virtual.Seconds(), "x-embedded")
}
