package registry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// objectOf makes an Object of JSON, under the key where it would stand.
func objectOf(content map[string]any) *registry.Object {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	metadata, _ := content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	key := registry.Key{Group: gvk.Group, Plural: strings.ToLower(kind) + "s", Namespace: namespace, Name: name}
	prefix := key.Group + "/" + key.Plural
	if builtin, ok := registry.LookupKind(gvk.GroupKind()); ok {
		key.Group, key.Plural, prefix = builtin.Group, builtin.Plural, builtin.Prefix
	}
	key.Path = strings.Join([]string{registry.DefaultPrefix, prefix, namespace, name}, "/")
	o := &registry.Object{Key: key, Namespace: namespace, Name: name}
	o.Replace(gvk, content)
	return o
}

func contentOf(t testing.TB, m *registry.Manifest) map[string]any {
	t.Helper()
	content, err := m.Content()
	require.NoError(t, err)
	return content
}

func objectsOfYAML(t testing.TB, stream []byte) []*registry.Object {
	t.Helper()
	var objects []*registry.Object
	for _, doc := range bytes.Split(stream, []byte("---\n")) {
		asJSON, err := yaml.YAMLToJSONStrict(doc)
		require.NoError(t, err)
		var content map[string]any
		require.NoError(t, utiljson.Unmarshal(asJSON, &content))
		objects = append(objects, objectOf(content))
	}
	return objects
}

// rewritten is an archive's comment and first file, with the plan after them.
func rewritten(t testing.TB, id string, archive *txtar.Archive, plan *registry.Plan) []byte {
	t.Helper()
	var after, record bytes.Buffer
	require.NoError(t, registry.WriteStream(&after, plan))
	for _, m := range plan.Manifests {
		fmt.Fprintf(&record, "%s\n", m.File)
		for _, c := range m.Changes {
			// Every object loses its uid; only one rule is about that.
			if c.Rule == id || c.Path != "metadata.uid" {
				fmt.Fprintf(&record, "  %s %s (%s)\n", c.Action, c.Path, c.Rule)
			}
		}
		for _, note := range m.Notes {
			fmt.Fprintf(&record, "  note: %s\n", note)
		}
	}
	for _, l := range plan.LeftOut {
		how := "left out"
		if !l.ByRule {
			how = "missing"
		}
		fmt.Fprintf(&record, "%q %s: %s (%s)\n", l.Object, how, l.Reason, l.Rule)
	}
	return txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: []txtar.File{
		archive.Files[0], {Name: "after.yaml", Data: after.Bytes()}, {Name: "record", Data: record.Bytes()},
	}})
}

// Each rule has a file in testdata/rules: objects before, manifests after, and
// what is recorded. It shows what the rule does and what it leaves alone.
func TestRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rules/*.txtar")
	require.NoError(t, err)
	shown := map[string]bool{}
	for _, file := range files {
		shown[strings.TrimSuffix(filepath.Base(file), ".txtar")] = true
	}
	for _, rule := range registry.Rules() {
		require.NotEmpty(t, rule.Why, rule.ID)
		require.NotEmpty(t, rule.Source, rule.ID)
		require.True(t, shown[rule.ID], "rule %s has no file", rule.ID)
		delete(shown, rule.ID)
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "rules", rule.ID+".txtar")
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			objects := objectsOfYAML(t, archive.Files[0].Data)
			plan, err := registry.Clean(objects, registry.CleanOptions{})
			require.NoError(t, err)
			got := rewritten(t, rule.ID, archive, plan)
			if *update {
				require.NoError(t, os.WriteFile(file, got, 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
			if !slices.Contains([]string{"pod-needs", "webhook-failure-policy", "heritage-deckhouse"}, rule.ID) { // they note, and change nothing
				require.Contains(t, string(got), "("+rule.ID+")")
			}
		})
	}
	require.Empty(t, shown, "files without a rule")
}
