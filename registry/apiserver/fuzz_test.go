package apiserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver"
)

// Whatever is asked, in whatever form, is answered with a code that a client
// knows and never by a fault of the server, and nothing that is not GET is answered with success but a review.
func FuzzRequest(f *testing.F) {
	handler, err := apiserver.New(f.Context(), harbourOptions(f))
	require.NoError(f, err)
	for _, seed := range []struct{ method, path, query, accept string }{
		{"GET", "/api/v1/pods", "limit=2&labelSelector=app=supercronic", asTable},
		{"GET", "/rev/100/api/v1/namespaces/infra-production/configmaps/flip", "", "application/yaml"},
		{"GET", "/apis/apps/v1/deployments", "fieldSelector=metadata.name!=x&resourceVersion=5&resourceVersionMatch=Exact", "application/vnd.kubernetes.protobuf"},
		{"GET", "/apis/events.k8s.io/v1/events", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0", "*/*"},
		{"GET", "/api/v1/watch/namespaces/default/pods/x", "timeoutSeconds=1&resourceVersion=1484", "application/json;stream=watch"},
		{"GET", "/api", "", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", "application/json"},
		{"DELETE", "/api/v1/namespaces/infra-production/secrets", "dryRun=All", ""},
		{"GET", "/openapi/v3/apis/fleet.example.com/v1", "hash=x", "application/json"},
		{"GET", "/rev/-1/api/v1/pods", "limit=-1", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
		{"GET", "/api/v1/namespaces/%2e%2e/pods", "watch=1&sendInitialEvents=true", "a/b;q=,;"},
		{"GET", "/api/v1/nodes", "fieldSelector=metadata.namespace=&labelSelector=a in (b,c),!d", "text/html"},
		{"HEAD", "//apis/apps/v9", "resourceVersion=18446744073709551616", "application/json;as=Table;v=v1;g=meta.k8s.io"},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.accept)
	}
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		if strings.Contains(query, "atch") || strings.Contains(path, "watch") {
			query += "&timeoutSeconds=1"
			if !strings.HasPrefix(path, "/rev/1/") {
				path = "/rev/1" + path
			}
		}
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Accept": {accept}}, Body: http.NoBody, Host: "localhost"}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(t.Context()))
		require.GreaterOrEqual(t, w.Code, 200)
		require.Less(t, w.Code, 600)
		require.NotEqual(t, http.StatusInternalServerError, w.Code, "%s", w.Body)
		if method != http.MethodGet && method != http.MethodHead {
			require.True(t, w.Code >= 400 || w.Code == http.StatusCreated, "%s %s: %d", method, path, w.Code)
		}
	})
}
