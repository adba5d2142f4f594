package apiserver_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
)

// sink takes an answer and keeps its size alone.
type sink struct {
	header http.Header
	size   int64
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { s.size += int64(len(p)); return len(p), nil }

var _ io.Writer = (*sink)(nil)

func benchmark(b *testing.B, handler http.Handler, path, accept string) {
	b.ReportAllocs()
	most, stop := watchHeap(b)
	size := int64(0)
	for b.Loop() {
		w := &sink{header: http.Header{}}
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
		r.Header.Set("Accept", accept)
		handler.ServeHTTP(w, r)
		size = w.size
	}
	b.SetBytes(size)
	close(stop)
	b.ReportMetric(float64(<-most)/(1<<20), "peak-heap-MiB")
}

// BenchmarkServe measures a first answer (open to discovery) and lists, of the
// fixture and of a database with LIFEBOAT_BENCH_KEYS keys (20000).
func BenchmarkServe(b *testing.B) {
	keys := 20_000
	if n, err := strconv.Atoi(os.Getenv("LIFEBOAT_BENCH_KEYS")); err == nil {
		keys = n
	}
	for name, opts := range map[string]apiserver.Options{"harbour": harbourOptions(b), "generated": {Reader: generated(b, keys)}} {
		b.Run(name, func(b *testing.B) {
			b.Run("start", func(b *testing.B) {
				for b.Loop() {
					_, err := apiserver.New(b.Context(), opts)
					require.NoError(b, err)
				}
			})
			handler, err := apiserver.New(b.Context(), opts)
			require.NoError(b, err)
			b.Run("first page", func(b *testing.B) { benchmark(b, handler, "/api/v1/pods?limit=500", asTable) })
			b.Run("all pods as table", func(b *testing.B) { benchmark(b, handler, "/api/v1/pods", asTable) })
			b.Run("all pods as JSON", func(b *testing.B) { benchmark(b, handler, "/api/v1/pods", "application/json") })
			b.Run("all pods as protobuf", func(b *testing.B) {
				benchmark(b, handler, "/api/v1/pods", "application/vnd.kubernetes.protobuf")
			})
			b.Run("discovery", func(b *testing.B) {
				benchmark(b, handler, "/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
			})
		})
	}
}
