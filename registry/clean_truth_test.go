package registry_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// What comes out of the backup is what the API server had said of each object,
// but for the changes that are recorded; and each object is accounted for. An
// extraction that is held against another one shows no field that both lost.
func TestHarbourManifestsAreTheTruth(t *testing.T) {
	t.Parallel()
	truth := map[string]map[string]any{}
	for _, o := range registry.HarbourTruth(t) {
		truth[registry.TruthID(o)] = o
	}
	plan := cleaned(t, harbourObjects(t, registry.Selection{All: true}))
	for _, m := range plan.Manifests {
		content := contentOf(t, m)
		id := registry.TruthID(content)
		want := truth[id]
		require.NotNil(t, want, "%s is not of this backup", id)
		delete(truth, id)
		for _, change := range m.Changes {
			path := parsePath(change.Path)
			if change.Action == registry.Changed {
				replaceAt(want, path, valueOf(content, path))
			} else {
				removeAt(want, path)
			}
		}
		dropMarked(want)
		removeAt(want, []any{"metadata", "resourceVersion"}) // of the answer, and not stored
		require.JSONEq(t, asJSON(t, want), asJSON(t, content), id)
	}
	for _, l := range plan.LeftOut {
		content, err := l.Object.Content()
		require.NoError(t, err)
		require.NotNil(t, truth[registry.TruthID(content)], l.Object)
		delete(truth, registry.TruthID(content))
		switch l.Object.GVK.Kind { // what a user writes is left out for a few reasons only
		case "ConfigMap":
			require.Contains(t, []string{"config-map-ca", "config-map-apiserver", "config-map-leader"}, l.Rule, l.Object)
		case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "PersistentVolume", "PersistentVolumeClaim", "Ingress":
			require.Fail(t, "is left out", "%s: %s", l.Object, l.Rule)
		}
	}
	require.Empty(t, truth, "neither written nor left out")
}

func asJSON(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return string(data)
}

// parsePath reads a Change's path: spec.ports[0].nodePort, labels["a.b/c"].
func parsePath(s string) (path []any) {
	for s != "" {
		switch {
		case strings.HasPrefix(s, `["`):
			quoted, _ := strconv.QuotedPrefix(s[1:])
			key, _ := strconv.Unquote(quoted)
			path, s = append(path, key), s[1+len(quoted)+1:]
		case s[0] == '[':
			end := strings.IndexByte(s, ']')
			i, _ := strconv.Atoi(s[1:end])
			path, s = append(path, i), s[end+1:]
		default:
			s = strings.TrimPrefix(s, ".")
			end := strings.IndexAny(s, ".[")
			if end < 0 {
				end = len(s)
			}
			path, s = append(path, s[:end]), s[end:]
		}
	}
	return path
}

// dropped marks an item of a list: the others keep their indexes meanwhile.
type dropped struct{}

func valueOf(node any, path []any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := node.(map[string]any)
			node = m[key]
		case int:
			l, _ := node.([]any)
			if key >= len(l) {
				return nil
			}
			node = l[key]
		}
	}
	return node
}

func replaceAt(root map[string]any, path []any, value any) {
	last := len(path) - 1
	switch parent := valueOf(root, path[:last]).(type) {
	case map[string]any:
		parent[path[last].(string)] = value
	case []any:
		parent[path[last].(int)] = value
	}
}

// removeAt removes a field, and every map above it that has nothing else.
func removeAt(root map[string]any, path []any) {
	last := len(path) - 1
	switch parent := valueOf(root, path[:last]).(type) {
	case []any:
		parent[path[last].(int)] = dropped{}
	case map[string]any:
		delete(parent, path[last].(string))
		if _, inMap := path[max(0, last-1)].(string); len(parent) == 0 && last > 0 && inMap {
			removeAt(root, path[:last])
		}
	}
}

// dropMarked takes the marked items out of their lists, and lists and maps that
// are emptied by that out of what holds them.
func dropMarked(node map[string]any) (emptied bool) {
	for key, child := range node {
		switch v := child.(type) {
		case map[string]any:
			if dropMarked(v) {
				delete(node, key)
				emptied = true
			}
		case []any:
			var kept []any
			for _, item := range v {
				if m, ok := item.(map[string]any); ok {
					dropMarked(m)
				}
				if _, gone := item.(dropped); !gone {
					kept = append(kept, item)
				}
			}
			if len(kept) == len(v) {
				continue
			}
			node[key] = kept
			if len(kept) == 0 {
				delete(node, key)
				emptied = true
			}
		}
	}
	return emptied && len(node) == 0
}
