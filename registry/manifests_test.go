package registry

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const manifestList = `# two of them
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}, data: {n: "1"}}
- {apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: web, namespace: shop}}]}
---
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
---
apiVersion: fleet.example.com/v1
kind: Ship
metadata: {name: aurora, namespace: shop}
spec: {tonnage: 9007199254740993}
`

func TestReadManifests(t *testing.T) {
	t.Parallel()
	m, err := ReadManifests(strings.NewReader(manifestList), DefaultPrefix, NewResources(nil))
	require.NoError(t, err)
	require.Equal(t, 4, m.Len())
	r := New(m, Options{})
	found := map[string]string{}
	for o, err := range r.Objects(t.Context(), nil) {
		require.NoError(t, err)
		content, err := o.Content()
		require.NoError(t, err)
		found[o.Key.Path] = stringAt(content, "kind")
		if o.Name == "aurora" {
			require.Equal(t, int64(9007199254740993), valueAt(content, "spec", "tonnage"))
		}
	}
	require.Equal(t, map[string]string{
		"/registry/configmaps/shop/a": "ConfigMap", "/registry/deployments/shop/web": "Deployment", "/registry/namespaces/shop": "Namespace",
		"/registry/fleet.example.com/ships/shop/aurora": "Ship",
	}, found)
	covers := m.Covers()
	for path, want := range map[string]bool{
		"/registry/configmaps/shop/other": true, "/registry/configmaps/elsewhere/a": false, "/registry/secrets/shop/a": false,
		"/registry/namespaces/other": false, "/registry/namespaces/shop": true,
	} {
		key, err := ParseKey(DefaultPrefix, path)
		require.NoError(t, err)
		require.Equal(t, want, covers(key), path)
	}
}

// A folder that extract wrote is read whole, with what is to be applied; other files
// are passed over.
func TestReadManifestDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, name := range []string{"a.yaml", "b.yml", "c.json", "d.apply", "README.md", "e.raw"} {
		text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c%d", "namespace": "shop"}}`, i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	m, err := ReadManifestDir(dir, DefaultPrefix, NewResources(nil))
	require.NoError(t, err)
	require.Equal(t, 4, m.Len())
	m, err = ReadManifestDir(filepath.Join(dir, "e.raw"), DefaultPrefix, NewResources(nil))
	require.NoError(t, err)
	require.Equal(t, 1, m.Len(), "one file that is named is read, whatever it is called")
}

// What is wrong is named with its place, and never quoted.
func TestReadManifestsRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"document 1: it is neither":                  "a: [secretvalue\n",
		"document 1: it is not an object":            "- secretvalue\n",
		"document 2: an object has no":               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n---\nkind: secretvalue\n",
		"document 1: ConfigMap \"a\" has no":         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"document 2: configmaps b/a stands there tw": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n",
		"document 1: item 0 of the list":             "apiVersion: v1\nkind: List\nitems: [secretvalue]\n",
	} {
		_, err := ReadManifests(strings.NewReader(text), DefaultPrefix, NewResources(nil))
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "secretvalue")
		file := filepath.Join(dir, "x.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err = ReadManifestDir(dir, DefaultPrefix, NewResources(nil))
		require.ErrorContains(t, err, "x.yaml")
	}
}

// A backup does not differ from its own objects as kubectl would print them.
func TestHarbourIsWhatItsManifestsSay(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	want := func(k Key) bool { return k.Namespace == "infra-production" && k.Plural != "events" }
	var stream bytes.Buffer
	for o, err := range r.Objects(t.Context(), want) {
		require.NoError(t, err)
		content, err := o.Content()
		require.NoError(t, err)
		text, err := yaml.Marshal(content)
		require.NoError(t, err)
		fmt.Fprintf(&stream, "---\n%s", text)
	}
	m, err := ReadManifests(&stream, DefaultPrefix, NewResources(nil))
	require.NoError(t, err)
	require.Greater(t, m.Len(), 50)
	for _, raw := range []bool{false, true} {
		diff, err := DiffOf(t.Context(), r, New(m, Options{}), DiffOptions{Want: want, Raw: raw})
		require.NoError(t, err)
		require.Empty(t, diff.Items)
		require.Equal(t, m.Len(), diff.Compared)
	}
}

// Whatever a file holds, it is read or refused.
func FuzzReadManifests(f *testing.F) {
	f.Add([]byte(manifestList))
	f.Add([]byte("kind: List\nitems:\n- kind: List\n  items: []\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ReadManifests(bytes.NewReader(text), DefaultPrefix, NewResources(nil))
		if err != nil {
			return
		}
		n := 0
		for o, err := range New(m, Options{}).Objects(t.Context(), nil) {
			require.NoError(t, err)
			require.NotEmpty(t, o.Key.Path)
			n++
		}
		require.LessOrEqual(t, n, m.Len()) // system keys are passed over
	})
}
