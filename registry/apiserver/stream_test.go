package apiserver_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// A list that is too long for memory has the same bytes as one that is not,
// and its warnings come first all the same.
func TestLongListsAreTheSame(t *testing.T) {
	t.Parallel()
	opts := harbourOptions(t)
	opts.Registry.Keyring = nil // locked Secrets
	short, long := serve(t, opts), serve(t, opts)
	long.handler.SetBuffer(1)
	for _, path := range []string{"/api/v1/events", "/api/v1/secrets", "/apis/apps/v1/deployments", pods + "?labelSelector=app=supercronic"} {
		for _, accept := range []string{"application/json", "application/vnd.kubernetes.protobuf", asTable, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"} {
			want, got := short.get(t, path, "Accept", accept), long.get(t, path, "Accept", accept)
			require.Equal(t, http.StatusOK, got.code)
			require.Equal(t, string(want.body), string(got.body), "%s as %s", path, accept)
			require.Equal(t, want.header.Values("Warning"), got.header.Values("Warning"))
		}
	}
	require.NotEmpty(t, long.get(t, "/api/v1/secrets").header.Get("Warning"))
	require.Equal(t, http.StatusNotAcceptable, long.get(t, "/api/v1/events", "Accept", "application/yaml").code)

	// A page of a limit that is too long for memory is cut, and can be gone on from.
	page := long.get(t, "/api/v1/events?limit=100").json(t)
	require.Len(t, page["items"], 1)
	require.NotEmpty(t, page["metadata"].(map[string]any)["continue"])
}

// Many lists at once take turns, and all are answered; memory does not grow with
// how many there are. In a soak there are ten thousand.
func TestManyListsAtOnce(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	want := s.get(t, pods).body
	lists := 500
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		lists = min(500*factor, 10_000)
	}
	most, stop := watchHeap(t)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for range lists {
		wg.Go(func() {
			answer := &compared{header: http.Header{}, want: want}
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, pods, nil)
			<-begin
			s.handler.ServeHTTP(answer, r)
			if answer.differs || answer.at != len(want) {
				t.Errorf("%d bytes of %d", answer.at, len(want))
			}
		})
	}
	close(begin)
	wg.Wait()
	close(stop)
	require.Less(t, <-most, uint64(512<<20), "bytes of heap")
	require.Zero(t, s.handler.Busy())
	require.Equal(t, http.StatusOK, s.get(t, pods+"?limit=9223372036854775807").code)
}

// compared takes an answer that is to be equal to another one, and keeps none
// of it.
type compared struct {
	header  http.Header
	want    []byte
	at      int
	differs bool
}

func (c *compared) Header() http.Header { return c.header }
func (c *compared) WriteHeader(int)     {}
func (c *compared) Write(p []byte) (int, error) {
	c.differs = c.differs || !bytes.HasPrefix(c.want[min(c.at, len(c.want)):], p)
	c.at += len(p)
	return len(p), nil
}

// A long list in pages is the list, and needs the memory of a page, of the index
// and of the bodies that are kept, whatever all of it takes: 20,000 objects here,
// a million in a soak.
func TestPagesOfManyObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a database of 20,000 objects")
	}
	keys := 20_000
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		keys = 50_000 * factor
	}
	s := serve(t, apiserver.Options{Reader: generated(t, keys)})
	most, stop := watchHeap(t)
	listed, token := 0, ""
	for {
		table := s.get(t, "/api/v1/pods?limit=500&continue="+token, "Accept", asTable).json(t)
		listed += len(table["rows"].([]any))
		metadata := table["metadata"].(map[string]any)
		remaining, _ := metadata["remainingItemCount"].(int64)
		if token, _ = metadata["continue"].(string); token == "" {
			require.Zero(t, remaining)
			break
		}
		require.Len(t, table["rows"], 500)
	}
	close(stop)
	require.Less(t, <-most, uint64(250<<20+400*keys), "bytes of heap")
	require.Len(t, s.get(t, "/api/v1/pods", "Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").items(t), listed)
	require.Greater(t, listed, keys/10)
}

// generated is a database with so many keys.
func generated(t testing.TB, keys int) *snapshot.DB {
	path := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: keys})
	require.NoError(t, err)
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// Clients that go away in the middle of a list or a watch leave their places to
// others, of which there are fewer than clients here.
func TestClientsThatGoAway(t *testing.T) {
	t.Parallel()
	opts := harbourOptions(t)
	s := serve(t, opts)
	s.handler.SetBuffer(1)
	for _, path := range []string{"/api/v1/events", "/api/v1/events?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "/api/v1/secrets?watch=1&resourceVersion=1"} {
		for range 3 * apiserver.MostBusy {
			ctx, leave := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
			require.NoError(t, err)
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			require.NoError(t, err)
			_, err = io.ReadFull(resp.Body, make([]byte, 10))
			require.NoError(t, err)
			leave()
			resp.Body.Close()
		}
		require.Len(t, s.get(t, "/api/v1/events").items(t), 169, path)
	}
	require.Eventually(t, func() bool { return s.handler.Busy() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// watchHeap gives the most that was on the heap until stop is closed.
func watchHeap(t testing.TB) (most <-chan uint64, stop chan struct{}) {
	t.Helper()
	answer, stop := make(chan uint64, 1), make(chan struct{})
	runtime.GC() // what other tests left behind
	go func() {
		highest, ticks := uint64(0), time.NewTicker(50*time.Millisecond)
		defer ticks.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest = max(highest, m.HeapAlloc)
			select {
			case <-stop:
				answer <- highest
				return
			case <-ticks.C:
			}
		}
	}()
	return answer, stop
}

// A version that will go says so with every answer, in the API server's words.
func TestDeprecatedVersionsSayIt(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	for path, want := range map[string]string{
		"/api/v1/endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
		"/api/v1/namespaces/default/endpoints/kubernetes": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
		"/apis/discovery.k8s.io/v1/endpointslices":        "",
		pods: "",
	} {
		require.Contains(t, s.get(t, path).header.Get("Warning"), want, path)
		if want == "" {
			require.Empty(t, s.get(t, path).header.Get("Warning"), path)
		}
	}
}
