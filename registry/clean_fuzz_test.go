package registry_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// requireIdempotent cleans what a plan has once more: all of it has to come
// out as it is.
func requireIdempotent(t testing.TB, plan *registry.Plan) {
	t.Helper()
	var again []*registry.Object
	for _, m := range plan.Manifests {
		o := objectOf(contentOf(t, m))
		o.Key = m.Object.Key
		again = append(again, o)
	}
	second := cleaned(t, again)
	require.Empty(t, second.LeftOut)
	require.Len(t, second.Manifests, len(plan.Manifests))
	for i, m := range second.Manifests {
		require.Equal(t, plan.Manifests[i].File, m.File)
		require.Equal(t, contentOf(t, plan.Manifests[i]), contentOf(t, m), m.File)
		require.Empty(t, m.Changes, m.File)
	}
}

// requireNothingAdded holds that each leaf of a manifest stands in the object
// with the same value, but for what a rule recorded as changed. Lists may have
// lost items, so their items are searched.
func requireNothingAdded(t testing.TB, m *registry.Manifest) {
	t.Helper()
	before, err := m.Object.Content()
	require.NoError(t, err)
	for _, c := range m.Changes {
		if c.Action == registry.Changed {
			return // what changes is pinned by testdata/rules
		}
	}
	require.True(t, contains(before, contentOf(t, m)), "%s has what its object has not", m.File)
}

// contains tells whether part is whole with entries and items left out.
func contains(whole, part any) bool {
	switch p := part.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		for key, value := range p {
			other, has := w[key]
			if !has || !contains(other, value) {
				return false
			}
		}
		return ok
	case []any:
		w, ok := whole.([]any)
		for _, value := range p {
			for len(w) > 0 && !contains(w[0], value) {
				w = w[1:]
			}
			if len(w) == 0 {
				return false
			}
			w = w[1:]
		}
		return ok
	}
	return whole == part
}

// FuzzClean gives Clean any JSON at all: up to four objects, an array of them.
// It has to come back, add nothing, and find nothing to do a second time.
func FuzzClean(f *testing.F) {
	corpus, err := filepath.Glob(filepath.Join("testdata", "rules", "*.txtar"))
	require.NoError(f, err)
	for _, file := range corpus {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		before, _, _ := strings.Cut(strings.TrimPrefix(string(data), "-- before.yaml --\n"), "-- after.yaml --\n")
		var list []json.RawMessage
		for _, doc := range strings.Split(before, "---\n") {
			asJSON, err := yaml.YAMLToJSON([]byte(doc))
			require.NoError(f, err)
			list = append(list, asJSON)
		}
		seed, err := json.Marshal(list)
		require.NoError(f, err)
		f.Add(seed)
	}
	for _, seed := range corpusJSON(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var list []map[string]any
		if err := utiljson.Unmarshal(data, &list); err != nil || len(list) > 4 {
			return
		}
		var objects []*registry.Object
		for i, content := range list {
			if content == nil {
				continue
			}
			o := objectOf(content)
			o.Key.Path += strings.Repeat("'", i) // keys are distinct, whatever the names
			objects = append(objects, o)
		}
		plan := cleaned(t, objects)
		require.Equal(t, len(objects), len(plan.Manifests)+len(plan.LeftOut))
		for _, m := range plan.Manifests {
			requireNothingAdded(t, m)
		}
		requireIdempotent(t, plan)
		plan.Summary()
		plan.Commands("x")
	})
}

// corpusJSON are the objects of k8s.io/api's own test data, every field set,
// each as a list of one.
func corpusJSON(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(registry.APITestdata(t), "HEAD", "*.json"))
	require.NoError(t, err)
	require.Greater(t, len(files), 150)
	var all [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all = append(all, bytes.Join([][]byte{[]byte("["), data, []byte("]")}, nil))
	}
	return all
}

// Every kind of Kubernetes, with every field set, and once more with what
// leaves it out taken away.
func TestCleanCorpus(t *testing.T) {
	t.Parallel()
	kept := 0
	for _, data := range corpusJSON(t) {
		var list []map[string]any
		require.NoError(t, utiljson.Unmarshal(data, &list))
		metadata := list[0]["metadata"]
		if m, ok := metadata.(map[string]any); ok {
			delete(m, "deletionTimestamp")
			m["name"], m["namespace"] = "one", "shop"
		}
		plan := cleaned(t, []*registry.Object{objectOf(list[0])})
		for _, m := range plan.Manifests {
			kept++
			requireNothingAdded(t, m)
		}
		requireIdempotent(t, plan)
	}
	require.Greater(t, kept, 100)
}

func TestNumbersAndEmptiesSurvive(t *testing.T) {
	t.Parallel()
	stored := map[string]any{
		"apiVersion": "fleet.example.com/v1", "kind": "Ship",
		"metadata": map[string]any{"name": "aurora", "uid": "11111111-0000-4000-8000-000000000001", "annotations": map[string]any{}},
		"spec": map[string]any{
			"tonnage": int64(9007199254740993), "least": int64(math.MinInt64), "cargo": map[string]any{}, "crew": []any{}, "none": nil, "name": "",
		},
	}
	plan := cleaned(t, []*registry.Object{objectOf(stored)})
	require.Len(t, plan.Manifests, 1)
	require.Equal(t, stored["spec"], contentOf(t, plan.Manifests[0])["spec"])
	require.Equal(t, map[string]any{"name": "aurora", "annotations": map[string]any{}}, contentOf(t, plan.Manifests[0])["metadata"])
}
