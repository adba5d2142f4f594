package printer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

// Services written before Kubernetes 1.20 and claims before 1.22 lack fields
// that the API server fills in when they are read.
func TestOldObjectsGetTheFieldsThatTheAPIServerFillsIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, path, stored, field string
		want                      any
	}{
		{"IPv4", "services/specs", `"kind":"Service","spec":{"clusterIP":"10.0.0.7"}`, "ipFamilies", []any{"IPv4"}},
		{"IPv6", "services/specs", `"kind":"Service","spec":{"clusterIP":"fd00::7"}`, "ipFamilies", []any{"IPv6"}},
		{"policy", "services/specs", `"kind":"Service","spec":{"clusterIP":"10.0.0.7"}`, "ipFamilyPolicy", "SingleStack"},
		{"plural address", "services/specs", `"kind":"Service","spec":{"clusterIP":"10.0.0.7"}`, "clusterIPs", []any{"10.0.0.7"}},
		{"two families", "services/specs", `"kind":"Service","spec":{"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7","fd00::7"]}`, "ipFamilyPolicy", "RequireDualStack"},
		{"headless", "services/specs", `"kind":"Service","spec":{"clusterIP":"None"}`, "ipFamilies", nil},
		{"external name", "services/specs", `"kind":"Service","spec":{"type":"ExternalName","externalName":"x","internalTrafficPolicy":"Cluster"}`, "internalTrafficPolicy", nil},
		{
			"data source", "persistentvolumeclaims", `"kind":"PersistentVolumeClaim","spec":{"dataSource":{"kind":"PersistentVolumeClaim","name":"x"}}`,
			"dataSourceRef", map[string]any{"apiGroup": nil, "kind": "PersistentVolumeClaim", "name": "x"},
		},
	} {
		o := object(t, "/registry/"+c.path+"/infra/x", `{"apiVersion":"v1","metadata":{"name":"x","namespace":"infra"},`+c.stored+`}`)
		printer.NewConverter(registry.NewResources(nil)).Preferred(o)
		require.Empty(t, o.Problems, c.name)
		content, err := o.Content()
		require.NoError(t, err)
		require.Equal(t, c.want, content["spec"].(map[string]any)[c.field], c.name)
	}
}

func TestUndecodedObjectsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"k8s:enc:kms:v2:x:y", "k8s\x00", "garbage", `{"apiVersion":"v1"}`} {
		o := object(t, "/registry/secrets/infra/x", value)
		require.Len(t, o.Problems, 1)
		printer.NewConverter(registry.NewResources(nil)).Preferred(o)
		require.Len(t, o.Problems, 1, "its Problem says it all")
	}
}

// A value that is JSON but not the kind's: the stored form stays, and is named.
func TestWhatDoesNotConvertStaysAsStored(t *testing.T) {
	t.Parallel()
	o := object(t, "/registry/configmaps/infra/x", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"infra"},"data":{"a":7}}`)
	printer.NewConverter(registry.NewResources(nil)).Preferred(o)
	require.Len(t, o.Problems, 1)
	require.Equal(t, registry.Unconverted, o.Problems[0].Code)
	content, err := o.Content()
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": int64(7)}, content["data"])
}
