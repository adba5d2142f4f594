package apiserver_test

import (
	"net/http"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi3"
	utilproto "k8s.io/kube-openapi/pkg/util/proto"
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

// Old clients read the same in OpenAPI v2, where kubectl 1.28 finds how
// an object is described and its lists are merged.
func TestOpenAPIV2(t *testing.T) {
	t.Parallel()
	s := serveHarbour(t)
	document, err := s.clientset(t, false).Discovery().OpenAPISchema()
	require.NoError(t, err)
	definitions := map[string]*openapi_v2.Schema{}
	for _, named := range document.GetDefinitions().GetAdditionalProperties() {
		definitions[named.GetName()] = named.GetValue()
	}
	require.Greater(t, len(definitions), 860)
	ship := definitions["com.example.fleet.v1.Ship"]
	require.NotNil(t, ship)
	var properties []string
	for _, property := range ship.GetProperties().GetAdditionalProperties() {
		properties = append(properties, property.GetName())
		if property.GetName() == "metadata" {
			require.Equal(t, "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", property.GetValue().GetXRef())
		}
	}
	require.Subset(t, properties, []string{"apiVersion", "kind", "metadata"})
	models, err := utilproto.NewOpenAPIData(document)
	require.NoError(t, err)
	require.NotNil(t, models.LookupModel("io.k8s.api.core.v1.Pod"))

	plain := s.get(t, "/openapi/v2", "Accept", "application/json").json(t)
	require.Equal(t, "2.0", plain["swagger"])
	require.Len(t, plain["definitions"], len(definitions))
}
