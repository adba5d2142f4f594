package apiserver_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
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

// Many lists at once take turns, and all are answered.
func TestManyListsAtOnce(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	want := string(s.get(t, pods).body)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			resp, err := http.Get(s.URL + pods) //nolint:noctx // as many at once as can be
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var got strings.Builder
			if _, err := io.Copy(&got, resp.Body); err != nil || got.String() != want {
				t.Errorf("%d bytes, %v", got.Len(), err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, http.StatusOK, s.get(t, pods+"?limit=9223372036854775807").code)
}
