package printer

import (
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// stored decodes a value as it stands in etcd under path.
func stored(t *testing.T, path string, value []byte) *registry.Object {
	t.Helper()
	key, err := registry.ParseKey(registry.DefaultPrefix, path)
	require.NoError(t, err)
	entry := registry.Entry{Key: key}
	entry.KV.Value = value
	o := registry.New(nil, registry.Options{}).Decode(t.Context(), entry)
	require.Empty(t, o.Problems)
	return o
}

func envelope(t *testing.T, apiVersion, kind string, obj interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	raw, err := obj.Marshal()
	require.NoError(t, err)
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	data, err := unknown.Marshal()
	require.NoError(t, err)
	return append([]byte("k8s\x00"), data...)
}

// A Job of Kubernetes 1.26 has no podReplacementPolicy, and its API server
// refuses the field. The preferred form has it, by default.
func TestServableKeepsStableVersionsAsStored(t *testing.T) {
	t.Parallel()
	job := &batchv1.Job{}
	job.Name, job.Namespace = "migrate", "infra"
	value := envelope(t, "batch/v1", "Job", job)
	c := NewConverter(registry.NewResources(nil))

	o := stored(t, "/registry/jobs/infra/migrate", value)
	c.Servable(o)
	content, err := o.Content()
	require.NoError(t, err)
	require.NotContains(t, content["spec"], "podReplacementPolicy")

	c.Preferred(o)
	content, err = o.Content()
	require.NoError(t, err)
	require.Contains(t, content["spec"], "podReplacementPolicy")
}

func TestServableLeavesBetaVersions(t *testing.T) {
	t.Parallel()
	pdb := &policyv1beta1.PodDisruptionBudget{}
	pdb.Name, pdb.Namespace = "db", "infra"
	o := stored(t, "/registry/poddisruptionbudgets/infra/db", envelope(t, "policy/v1beta1", "PodDisruptionBudget", pdb))
	NewConverter(registry.NewResources(nil)).Servable(o)
	require.Equal(t, "policy/v1", o.GVK.GroupVersion().String())
	require.Empty(t, o.Problems)
}

func TestServableChangesCustomResourcesOnlyWhenUnserved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		versions []registry.CustomVersion
		want     string
	}{
		{[]registry.CustomVersion{{Name: "v1"}, {Name: "v1alpha1"}}, "v1alpha1"},
		{[]registry.CustomVersion{{Name: "v1", Served: true}, {Name: "v1alpha1", Served: true}}, "v1alpha1"},
		{[]registry.CustomVersion{{Name: "v1", Served: true}, {Name: "v1alpha1"}}, "v1"},
	} {
		o := stored(t, "/registry/fleet.example.com/ships/infra/aurora",
			[]byte(`{"apiVersion":"fleet.example.com/v1alpha1","kind":"Ship","metadata":{"name":"aurora","namespace":"infra"}}`))
		NewConverter(registry.NewResources([]registry.CustomResource{{
			Group: "fleet.example.com", Kind: "Ship", Plural: "ships", Namespaced: true, Versions: c.versions,
		}})).Servable(o)
		require.Equal(t, c.want, o.GVK.Version)
	}
}
