package lifeboat_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// BenchmarkExtractAll extracts every object of the real fixture, as one stream:
// decoding, cleaning, and printing, by one core and by two. The figures are per
// object.
func BenchmarkExtractAll(b *testing.B) {
	for _, cores := range []int{1, 2} {
		b.Run(map[int]string{1: "one-core", 2: "two-cores"}[cores], func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			source, err := lifeboat.Open(b.Context(), harbour, lifeboat.Options{})
			require.NoError(b, err)
			defer source.Close()
			objects := 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				got, err := source.Extract(b.Context(), registry.Selection{All: true}, lifeboat.ExtractOptions{Stream: true})
				require.NoError(b, err)
				require.NoError(b, registry.WriteStream(io.Discard, got.Plan))
				objects += len(got.Manifests) + len(got.LeftOut)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(objects), "µs/object")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(objects)/1024, "KB-allocated/object")
		})
	}
}
