package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Items that are sent again are those of the same revision, version and form,
// and what is kept of them has a bound.
func TestItemsThatAreKeptAreTheSame(t *testing.T) {
	t.Parallel()
	keeping, fresh := serveHarbour(t), serveHarbour(t)
	fresh.handler.SetBodies(0)
	for range 2 {
		for _, path := range []string{
			pods, pods + "?limit=3", pods + "?includeObject=Object", pods + "?includeObject=None", pods + "?labelSelector=app%3Dsupercronic", pods + "?fieldSelector=status.phase%3DRunning",
			"/rev/1300" + pods, "/api/v1/events?limit=5", "/apis/events.k8s.io/v1/events?limit=5", "/apis/fleet.example.com/v1/ships", secretsPath,
		} {
			for _, accept := range []string{
				"application/json", "application/yaml", "application/vnd.kubernetes.protobuf,application/json", asTable, "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
				"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
			} {
				want, got := fresh.get(t, path, "Accept", accept), keeping.get(t, path, "Accept", accept)
				require.Equal(t, http.StatusOK, want.code, "%s as %s: %s", path, accept, want.body)
				require.Equal(t, string(want.body), string(got.body), "%s as %s", path, accept)
				require.Equal(t, want.header["Warning"], got.header["Warning"])
			}
		}
	}
	count, _ := keeping.handler.KeptBodies()
	require.Positive(t, count)
	count, _ = fresh.handler.KeptBodies()
	require.Zero(t, count)

	const most = 64 << 10
	keeping.handler.SetBodies(most)
	for range 3 {
		require.Len(t, keeping.get(t, "/api/v1/events").items(t), 169)
		for _, form := range []string{asTable, "application/vnd.kubernetes.protobuf", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"} {
			require.Equal(t, http.StatusOK, keeping.get(t, "/api/v1/events", "Accept", form).code)
		}
		count, size := keeping.handler.KeptBodies()
		require.Positive(t, count)
		require.LessOrEqual(t, size, most)
	}
}

// A list that leaves something out says so each time.
func TestWhatIsLeftOutIsSaidAgain(t *testing.T) {
	t.Parallel()
	opts := harbourOptions(t)
	opts.Registry.Keyring = nil
	s := serve(t, opts)
	for accept, want := range map[string]string{"application/json": "left out", asTable: "could not be read whole"} {
		first := s.get(t, secretsPath, "Accept", accept).header.Get("Warning")
		require.Contains(t, first, want)
		require.Equal(t, first, s.get(t, secretsPath, "Accept", accept).header.Get("Warning"))
	}
}
