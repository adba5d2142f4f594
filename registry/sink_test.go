package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// trickyStrings are those that YAML reads as something else, breaks over
// lines, or ends a document with.
var trickyStrings = []string{
	"no", "yes", "on", "off", "true", "null", "~", "", " ", "1e3", "0x10", "0o7", "017", "1_000", ".inf", "-.inf", ".nan", "2026-01-01", "12:30:45",
	"- a", "a: b", "a #b", "#", "&a", "*a", "!a", "|", ">", "%", "@", "`", "'", "\"", "---", "...", "a\n---\nb", "\n---\n", "---\n", "<<", "=",
	"tab\there", "\ttab", "trail ", " lead", "line\n", "line\n\n", "\n", "two\nlines", "two\r\nlines", "cr\rhere", "\u0085", "\u2028", "\ufeff", "\x00", "\x1b[2J",
	"\x7f", "é", "日本", "😀", strings.Repeat("long words ", 40), strings.Repeat("x", 300), "  indented\nthen not", "a\n  b\n", "#!/bin/sh\n\techo \"hi\"\n",
}

// anyJSON draws what an object of a custom resource may hold.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.SampledFrom(trickyStrings).AsAny(), rapid.String().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
		rapid.Int64().AsAny(), rapid.SampledFrom([]int64{9007199254740993, -9007199254740993, 1 << 62}).AsAny(),
		rapid.SampledFrom([]float64{0.5, -1.25e-7, 1e21, 3.0e300}).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	key := rapid.OneOf(rapid.SampledFrom(trickyStrings), rapid.String())
	inner := rapid.Deferred(func() *rapid.Generator[any] { return anyJSON(depth - 1) })
	return rapid.OneOf(append(leaves, rapid.SliceOfN(inner, 0, 3).AsAny(), rapid.MapOfN(key, inner, 0, 3).AsAny())...)
}

// jsonOf is a value after JSON, as a decoder of etcd's bytes would give it.
func jsonOf(t interface{ Fatalf(string, ...any) }, value any) any {
	data, err := utiljson.Marshal(map[string]any{"v": value})
	if err != nil {
		t.Fatalf("%v", err)
	}
	var back map[string]any
	if err := utiljson.Unmarshal(data, &back); err != nil {
		t.Fatalf("%v", err)
	}
	return back["v"]
}

func TestYAMLCarriesEveryValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := map[string]any{"apiVersion": "fleet.example.com/v1", "kind": "Ship", "metadata": map[string]any{"name": "aurora"}}
		for i := range rapid.IntRange(1, 3).Draw(t, "fields") {
			key := rapid.OneOf(rapid.SampledFrom(trickyStrings), rapid.SampledFrom([]string{"spec", "data", "alpha"})).Draw(t, "key")
			content[key] = jsonOf(t, anyJSON(3).Draw(t, "value"))
			_ = i
		}
		text, err := registry.MarshalYAML(content)
		require.NoError(t, err)
		asJSON, err := yaml.YAMLToJSON(text)
		require.NoError(t, err)
		var back map[string]any
		require.NoError(t, utiljson.Unmarshal(asJSON, &back))
		require.Equal(t, content, back)
		again, err := registry.MarshalYAML(content)
		require.NoError(t, err)
		require.Equal(t, text, again)
	})
}

func TestYAMLIsReadable(t *testing.T) {
	t.Parallel()
	text, err := registry.MarshalYAML(map[string]any{
		"type": "Opaque", "data": map[string]any{"b": "no", "a": "line\nline\n"}, "spec": map[string]any{}, "kind": "Secret", "apiVersion": "v1",
		"metadata": map[string]any{"name": "1e3"},
	})
	require.NoError(t, err)
	require.Equal(t, `apiVersion: v1
kind: Secret
metadata:
  name: "1e3"
spec: {}
data:
  a: |
    line
    line
  b: "no"
type: Opaque
`, string(text))
}

// kubectl create reads a stream with this decoder.
func TestStreamIsWhatKubectlReads(t *testing.T) {
	t.Parallel()
	var objects []*registry.Object
	for i, s := range trickyStrings {
		name := "c" + strings.Repeat("x", i)
		objects = append(objects, objectOf(map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"},
			"data": map[string]any{"value": s}, "top": s,
		}))
	}
	plan := cleaned(t, objects)
	require.Len(t, plan.Manifests, len(trickyStrings))
	var stream bytes.Buffer
	require.NoError(t, registry.WriteStream(&stream, plan))
	decoder := kubeyaml.NewYAMLOrJSONDecoder(&stream, 4096)
	for _, m := range plan.Manifests {
		var u unstructured.Unstructured
		require.NoError(t, decoder.Decode(&u))
		require.Equal(t, contentOf(t, m), u.Object, m.File)
	}
	require.ErrorIs(t, decoder.Decode(&unstructured.Unstructured{}), io.EOF)
}

func onePlan(t testing.TB) *registry.Plan {
	t.Helper()
	return cleaned(t, objectsOfYAML(t, []byte(`apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
data: {password: aHVudGVyMg==}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`)))
}

func TestWriteDir(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	target := filepath.Join(parent, "restored")
	written, err := registry.WriteDir(t.Context(), target+"/", onePlan(t))
	require.NoError(t, err)
	require.Equal(t, registry.Written{Dir: target, Files: 2, Bytes: 152}, written)
	require.Equal(t, map[string]string{
		"00-namespaces/namespaces_shop.yaml": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n",
		"45-config/secrets_shop_db.yaml":     "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\ndata:\n  password: aHVudGVyMg==\n",
	}, treeOf(t, target))
	for name, mode := range map[string]os.FileMode{"": 0o700, "45-config": 0o700, "45-config/secrets_shop_db.yaml": 0o600} {
		info, err := os.Stat(filepath.Join(target, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	requireNames(t, parent, "restored")

	before := treeOf(t, target)
	_, err = registry.WriteDir(t.Context(), target, onePlan(t))
	require.ErrorIs(t, err, registry.ErrExists)
	require.ErrorContains(t, err, `restored" already exists`)
	require.Equal(t, before, treeOf(t, target))
}

func requireNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, append([]string{}, want...), names)
}

func TestWriteDirRefuses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(dir string) error{
		"a file":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "restored"), nil, 0o600) },
		"an empty folder":  func(dir string) error { return os.Mkdir(filepath.Join(dir, "restored"), 0o700) },
		"a dangling link":  func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "restored")) },
		"somebody's .part": func(dir string) error { return os.MkdirAll(filepath.Join(dir, "restored.part", "theirs"), 0o700) },
		"a link to a folder as .part": func(dir string) error {
			return errors.Join(os.Symlink("a", filepath.Join(dir, "restored.part")), os.Mkdir(filepath.Join(dir, "a"), 0o700))
		},
		"a file as .part": func(dir string) error { return os.WriteFile(filepath.Join(dir, "restored.part"), nil, 0o600) },
		"a link as .part": func(dir string) error { return os.Symlink("/tmp", filepath.Join(dir, "restored.part")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, prepare(dir))
			before, err := os.ReadDir(dir)
			require.NoError(t, err)
			_, err = registry.WriteDir(t.Context(), filepath.Join(dir, "restored"), onePlan(t))
			require.ErrorIs(t, err, registry.ErrExists)
			after, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(before), fmt.Sprint(after))
		})
	}
	_, err := registry.WriteDir(t.Context(), "/", onePlan(t))
	require.ErrorIs(t, err, registry.ErrExists)
	_, err = registry.WriteDir(t.Context(), filepath.Join(t.TempDir(), "no", "such"), onePlan(t))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// killedRun leaves what a run leaves behind that is killed half-way.
func killedRun(t testing.TB, dir string) (mark string) {
	t.Helper()
	mark = filepath.Join(dir, "restored.part", ".lifeboat-part")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "restored.part", "45-config"), 0o700))
	require.NoError(t, os.WriteFile(mark, nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "restored.part", "45-config", "half.yaml"), []byte("apiVer"), 0o600))
	return mark
}

func TestWriteDirRemovesWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killedRun(t, dir)
	written, err := registry.WriteDir(t.Context(), filepath.Join(dir, "restored"), onePlan(t))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "restored.part"), written.Leftover)
	require.Len(t, treeOf(t, filepath.Join(dir, "restored")), 2)
	requireNames(t, dir, "restored")
}

func TestWriteDirLeavesARunningOneAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark, err := os.Open(killedRun(t, dir))
	require.NoError(t, err)
	defer mark.Close()
	require.NoError(t, syscall.Flock(int(mark.Fd()), syscall.LOCK_EX))
	_, err = registry.WriteDir(t.Context(), filepath.Join(dir, "restored"), onePlan(t))
	require.ErrorIs(t, err, registry.ErrInUse)
	require.FileExists(t, filepath.Join(dir, "restored.part", "45-config", "half.yaml"))
}

func TestWriteDirLeavesNothingWhenInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted)
	_, err := registry.WriteDir(ctx, filepath.Join(dir, "restored"), onePlan(t))
	require.ErrorIs(t, err, interrupted)
	requireNames(t, dir)

	plan := onePlan(t)
	plan.Manifests[1].File = plan.Manifests[0].File // cannot be: it would overwrite the other
	_, err = registry.WriteDir(t.Context(), filepath.Join(dir, "restored"), plan)
	require.ErrorIs(t, err, os.ErrExist)
	requireNames(t, dir)

	plan.Manifests[1].File = "../outside.yaml"
	_, err = registry.WriteDir(t.Context(), filepath.Join(dir, "restored"), plan)
	require.Error(t, err)
	requireNames(t, dir)
}

// PyYAML and other readers of YAML 1.1 take = and << for something else, and
// some numbers and times that our own reader takes for strings.
func TestYAMLQuotesWhatOlderReadersMistake(t *testing.T) {
	t.Parallel()
	text, err := registry.MarshalYAML(map[string]any{
		"kind": "ConfigMap", "data": map[string]any{"a": "=", "<<": "b", "c": "<<", "=": []any{"=", map[string]any{"<<": "="}}, "d": "0o17", "e": "plain"},
	})
	require.NoError(t, err)
	require.Equal(t, `kind: ConfigMap
data:
  "<<": b
  "=":
  - "="
  - "<<": "="
  a: "="
  c: "<<"
  d: "0o17"
  e: plain
`, string(text))
}

// One string that needs escapes leaves its neighbours readable.
func TestYAMLEscapesOneStringAlone(t *testing.T) {
	t.Parallel()
	text, err := registry.MarshalYAML(map[string]any{
		"kind": "ConfigMap",
		"data": map[string]any{
			"script": "#!/bin/sh\n\necho hi\n", "odd": "next\u0085line",
			"list": []any{"a", []any{"b", "\u0085"}, map[string]any{"x": "\u0085", "y": "line\nline\n"}, map[string]any{}},
		},
	})
	require.NoError(t, err)
	require.Equal(t, `kind: ConfigMap
data:
  list:
  - a
  - - b
    - "\u0085"
  - x: "\u0085"
    "y": |
      line
      line
  - {}
  odd: "next\u0085line"
  script: |
    #!/bin/sh

    echo hi
`, string(text))
}
