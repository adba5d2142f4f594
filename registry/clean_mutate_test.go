package registry_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// soak is the factor by which random tests run longer.
func soak(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		return n * factor
	}
	return n
}

// Objects with some of their parts replaced by parts of others, or gone: what
// byte-wise fuzzing seldom reaches. The same three things have to hold.
func TestCleanMutated(t *testing.T) {
	t.Parallel()
	var seeds [][]map[string]any
	for _, data := range corpusJSON(t) {
		var list []map[string]any
		require.NoError(t, utiljson.Unmarshal(data, &list))
		if m, ok := list[0]["metadata"].(map[string]any); ok {
			delete(m, "deletionTimestamp")
			m["name"], m["namespace"] = "one", "shop"
		}
		seeds = append(seeds, list)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "rules", "*.txtar"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		before, _, _ := strings.Cut(strings.TrimPrefix(string(data), "-- before.yaml --\n"), "-- after.yaml --\n")
		var list []map[string]any
		for _, o := range objectsOfYAML(t, []byte(before)) {
			content, err := o.Content()
			require.NoError(t, err)
			list = append(list, content)
		}
		for range 5 { // as many as those of the corpus, roughly
			seeds = append(seeds, list)
		}
	}
	for seed := range soak(1000) {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		var objects []*registry.Object
		for i, content := range seeds[r.IntN(len(seeds))] {
			mutated, _ := copied(t, content).(map[string]any)
			for range r.IntN(4) {
				donor := seeds[r.IntN(len(seeds))][0]
				mutate(r, mutated, nodeOf(r, copied(t, donor)))
			}
			o := objectOf(mutated)
			o.Key.Path += strings.Repeat("'", i)
			objects = append(objects, o)
		}
		plan := cleaned(t, objects)
		require.Equal(t, len(objects), len(plan.Manifests)+len(plan.LeftOut), "seed %d", seed)
		for _, m := range plan.Manifests {
			requireNothingAdded(t, m)
		}
		requireIdempotent(t, plan)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func copied(t testing.TB, value any) any {
	t.Helper()
	data, err := json.Marshal(map[string]any{"v": value})
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, utiljson.Unmarshal(data, &back))
	return back["v"]
}

// nodeOf picks some value out of a tree.
func nodeOf(r *rand.Rand, value any) any {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 && r.IntN(4) > 0 {
			return nodeOf(r, v[keyOf(r, v)])
		}
	case []any:
		if len(v) > 0 && r.IntN(4) > 0 {
			return nodeOf(r, v[r.IntN(len(v))])
		}
	}
	return value
}

func keyOf(r *rand.Rand, m map[string]any) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys[r.IntN(len(keys))]
}

// mutate replaces, drops or adds one thing somewhere below m.
func mutate(r *rand.Rand, m map[string]any, donor any) {
	if len(m) == 0 {
		return
	}
	key := keyOf(r, m)
	if r.IntN(4) > 0 {
		switch child := m[key].(type) {
		case map[string]any:
			mutate(r, child, donor)
			return
		case []any:
			if len(child) == 0 {
				break
			}
			i := r.IntN(len(child))
			if item, ok := child[i].(map[string]any); ok && r.IntN(3) > 0 {
				mutate(r, item, donor)
				return
			}
			child[i] = donor
			return
		}
	}
	switch r.IntN(3) {
	case 0:
		delete(m, key)
	case 1:
		m[key] = []any{donor, m[key], int64(7), nil}[r.IntN(4)]
	default:
		m[key] = donor
	}
}
