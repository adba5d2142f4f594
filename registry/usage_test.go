package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Every byte of a record is somebody's: of what lives or of what has been.
func TestUsageCountsEveryRecordOnce(t *testing.T) {
	t.Parallel()
	db := harbour(t, Options{}).reader.(*snapshot.DB)
	alive := map[string]bool{}
	for kv, err := range db.At(t.Context(), 0, nil) {
		require.NoError(t, err)
		alive[string(kv.Key)] = true
	}
	var live, history, records int64
	met := map[string]bool{}
	for r, err := range db.Records(t.Context(), 0) {
		require.NoError(t, err)
		records++
		if key := string(r.Key); alive[key] && !met[key] {
			live += int64(r.Size)
			met[key] = true
		} else {
			history += int64(r.Size)
		}
	}
	usage, err := MeasureUsage(t.Context(), db, DefaultPrefix, 3)
	require.NoError(t, err)
	require.Equal(t, live, usage.Live)
	require.Equal(t, history, usage.History)
	require.Equal(t, usage.SizeInUse-history, usage.AfterRepair)
	for _, counts := range [][]UsageCount{usage.Resources, usage.Namespaces} {
		var keys, all, bytes int64
		for _, c := range counts {
			keys, all, bytes = keys+c.Keys, all+c.Records, bytes+c.Live+c.History
		}
		require.EqualValues(t, len(alive), keys)
		require.Equal(t, records, all)
		require.Equal(t, live+history, bytes)
	}
	require.Len(t, usage.Largest, 3)
	require.GreaterOrEqual(t, usage.Largest[0].Live, usage.Largest[1].Live)
	require.GreaterOrEqual(t, usage.Churn[0].Records, usage.Churn[1].Records)
}

// A definition of v1beta1 says some things once for all versions, and leaves others
// to the defaults.
func TestDefinitionOfV1beta1(t *testing.T) {
	t.Parallel()
	spec := map[string]any{
		"group": "fleet.example.com", "names": map[string]any{"kind": "Ship", "plural": "ships"}, "subresources": map[string]any{"status": map[string]any{}},
		"versions": []any{
			map[string]any{"name": "v1", "served": true, "storage": true},
			map[string]any{"name": "v2", "served": true, "storage": false, "subresources": map[string]any{}},
		},
	}
	define := func(spec map[string]any) CustomResource {
		custom, err := ParseDefinition(&Object{GVK: schema.GroupVersionKind{Group: crdKind.Group, Version: "v1beta1", Kind: crdKind.Kind}, content: map[string]any{"spec": spec}})
		require.NoError(t, err)
		return custom
	}
	custom := define(spec)
	require.True(t, custom.Namespaced, "Namespaced is the default")
	require.Equal(t, []bool{true, false}, []bool{custom.Versions[0].Status, custom.Versions[1].Status})
	delete(spec, "versions")
	spec["version"], spec["scope"] = "v1alpha1", "Cluster"
	custom = define(spec)
	require.False(t, custom.Namespaced)
	require.Equal(t, []CustomVersion{{Name: "v1alpha1", Served: true, Storage: true, Status: true}}, custom.Versions)
}
