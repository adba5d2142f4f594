package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi3"
)

// client-go's own OpenAPI root finds every served group's document, and the
// schemas of the backup's definitions in theirs.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	root := openapi3.NewRoot(s.clientset(t, false).Discovery().OpenAPIV3())
	gvs, err := root.GroupVersions()
	require.NoError(t, err)
	require.Contains(t, gvs, schema.GroupVersion{Version: "v1"})
	require.Contains(t, gvs, schema.GroupVersion{Group: "apps", Version: "v1"})
	deckhouse := schema.GroupVersion{Group: "deckhouse.io", Version: "v1alpha1"}
	require.Contains(t, gvs, deckhouse)

	document, err := root.GVSpec(deckhouse)
	require.NoError(t, err)
	config := document.Components.Schemas["io.deckhouse.v1alpha1.ModuleConfig"]
	require.NotNil(t, config)
	require.Contains(t, config.Properties, "spec")
	require.Contains(t, config.Properties, "metadata")
	require.Contains(t, document.Components.Schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
	require.Contains(t, document.Paths.Paths, "/apis/deckhouse.io/v1alpha1/moduleconfigs/{name}")
	require.Equal(t, http.StatusNotAcceptable, s.get(t, "/openapi/v3", "Accept", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf").code)
}
