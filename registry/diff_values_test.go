package registry

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// What cannot be compared is told with its reason, and what is left out is counted:
// neither is equal.
func TestDiffTellsWhatItDidNotCompare(t *testing.T) {
	t.Parallel()
	unknown := func(name string) string {
		policy := &corev1.Secret{}
		policy.Name, policy.Type = "restricted", corev1.SecretType(name)
		return string(protobufValue(t, schema.GroupVersionKind{Group: "policy", Version: "v1beta1", Kind: "PodSecurityPolicy"}, policy))
	}
	object := func(kind, name, rest string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":%q,"namespace":"shop","uid":"u1"}%s}`, kind, name, rest)
	}
	const locked = "k8s:enc:secretbox:v1:key1:"
	side := func(values map[string]string) *Registry {
		h := told{windows: []snapshot.Window{{First: 1, Last: 1}}}
		for path, value := range values {
			h.records = append(h.records, snapshot.Record{KeyValue: snapshot.KeyValue{Key: []byte("/registry/" + path), Value: []byte(value), CreateRevision: 1, ModRevision: 1, Version: 1}, Main: 1})
		}
		return New(h, Options{})
	}
	before := side(map[string]string{
		"secrets/shop/locked": locked + "a", "podsecuritypolicy/restricted": unknown("a"), "secrets/shop/half": object("Secret", "half", ""), "secrets/shop/other": locked + "c",
		"events/shop/e": object("Event", "e", `,"count":1`), "configmaps/shop/same": object("ConfigMap", "same", ""), "configmaps/shop/gone": object("ConfigMap", "gone", ""),
	})
	after := side(map[string]string{
		"secrets/shop/locked": locked + "b", "podsecuritypolicy/restricted": unknown("b"), "secrets/shop/half": locked + "b", "secrets/shop/other": object("Secret", "other", ""),
		"events/shop/e": object("Event", "e", `,"count":2`), "configmaps/shop/same": object("ConfigMap", "same", ""), "configmaps/shop/new": object("ConfigMap", "new", ""),
	})
	const sealed = `locked: encrypted by secretbox key "key1", and no secretbox key is at hand`
	for _, raw := range []bool{false, true} {
		diff, err := DiffOf(t.Context(), before, after, DiffOptions{Raw: raw})
		require.NoError(t, err)
		require.Equal(t, 8, diff.Compared)
		lines := map[string]string{}
		for _, i := range diff.Items {
			lines[i.Key.Name] = string(i.Event) + " " + i.Problem
		}
		want := map[string]string{
			"locked": "updated " + sealed, "half": "updated " + sealed, "other": "updated " + sealed, "new": "created ", "gone": "deleted ",
			"restricted": "updated unknown-kind: policy/v1beta1, Kind=PodSecurityPolicy is not in the linked Kubernetes API; metadata and raw bytes are kept",
		}
		if raw {
			want["e"] = "updated "
			require.Zero(t, diff.LeftOut)
		} else {
			require.Equal(t, 1, diff.LeftOut, "the event")
		}
		require.Equal(t, want, lines)
	}
}

// Of a Secret that one side alone has a uid of, as in a folder of manifests, digests
// are made all the same, and under one key: else a change of its values is none.
func TestDiffOfSecretsWithOneUID(t *testing.T) {
	t.Parallel()
	stored := New(inYAML(t, `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop, uid: u1}, data: {a: aHVudGVyMg==, same: c2FtZQ==}}`), Options{})
	written := New(inYAML(t, `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop}, data: {a: aHVudGVyMw==, same: c2FtZQ==}}`), Options{})
	none := New(inYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: bank}}`), Options{})
	digest := map[string]bool{}
	for _, sides := range [][2]*Registry{{stored, written}, {written, stored}, {stored, none}, {none, stored}} {
		diff, err := DiffOf(t.Context(), sides[0], sides[1], DiffOptions{Want: func(k Key) bool { return k.Plural == "secrets" }})
		require.NoError(t, err)
		require.Len(t, diff.Items, 1)
		item := diff.Items[0]
		for side, content := range map[*Registry]map[string]any{sides[0]: item.Old, sides[1]: item.New} {
			if content != nil {
				require.Contains(t, stringAt(content, "data", "a"), "digest ")
				require.NotContains(t, fmt.Sprint(content), "aHVudGVyM")
			}
			if side == stored {
				digest[stringAt(content, "data", "a")] = true
			}
		}
		if item.Event == Updated {
			require.Len(t, item.Fields, 1)
			require.Equal(t, "data.a", item.Fields[0].Path)
		}
	}
	require.Len(t, digest, 1, "it is the same Secret each time")
}

// Who writes endpoints is told by their Service, which is looked at although it is
// the same on both sides.
func TestDiffLooksAtServicesBeside(t *testing.T) {
	t.Parallel()
	side := func(address string) *Registry {
		return New(inYAML(t, fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}}}
---
{apiVersion: v1, kind: Service, metadata: {name: hand, namespace: shop}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: web, namespace: shop}, subsets: [{addresses: [{ip: %[1]s}]}]}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: hand, namespace: shop, annotations: {endpoints.kubernetes.io/last-change-trigger-time: a}}, subsets: [{addresses: [{ip: %[1]s}]}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: bank, labels: {kubernetes.io/service-name: web}, ownerReferences: [{apiVersion: v1, kind: Service, name: web, uid: u1, controller: true}]}
endpoints: [{addresses: [%[1]s]}]
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: bank}, spec: {selector: {app: web}}}
`, address)), Options{})
	}
	diff, err := DiffOf(t.Context(), side("10.0.0.1"), side("10.0.0.2"), DiffOptions{})
	require.NoError(t, err)
	require.Len(t, diff.Items, 1)
	require.Equal(t, "shop/hand", diff.Items[0].Key.Namespace+"/"+diff.Items[0].Key.Name, "no controller writes these")
	require.Equal(t, 2, diff.LeftOut)
}

// Two items of one name are told by their places: one of them has changed.
func TestDiffOfItemsWithOneName(t *testing.T) {
	t.Parallel()
	list := func(values ...int64) map[string]any {
		var items []any
		for _, v := range values {
			items = append(items, map[string]any{"name": "a", "v": v})
		}
		return map[string]any{"list": items}
	}
	require.Equal(t, []FieldChange{{"list[1].v", int64(1), int64(2)}}, DiffFields(list(1, 1), list(1, 2)))
	require.Len(t, DiffFields(list(1), list(1, 1)), 1)
}

// A field without content is one all the same, and a value of another shape is one
// change: an emptyDir that came is a volume that went.
func TestDiffOfShapes(t *testing.T) {
	t.Parallel()
	empty, claim := map[string]any{}, map[string]any{"claimName": "data"}
	change := func(a, b map[string]any) string { return fmt.Sprint(DiffFields(a, b)) }
	require.Equal(t, "[+ emptyDir: {}]", change(map[string]any{}, map[string]any{"emptyDir": empty}))
	require.Equal(t, "[- emptyDir: {}]", change(map[string]any{"emptyDir": empty}, map[string]any{}))
	require.Equal(t, `[+ pvc: {"claimName":"data"}]`, change(map[string]any{}, map[string]any{"pvc": claim}))
	require.Equal(t, `[pvc: {"claimName":"data"} -> data]`, change(map[string]any{"pvc": claim}, map[string]any{"pvc": "data"}))
	require.Equal(t, `[args: [] -> {}]`, change(map[string]any{"args": []any{}}, map[string]any{"args": empty}))
	require.Equal(t, `[+ args: []]`, change(map[string]any{}, map[string]any{"args": []any{}}))
}

// Nothing of a Secret is shown, wherever it stands in it, and nothing without a key
// that nobody can guess.
func TestMaskedSecrets(t *testing.T) {
	t.Parallel()
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "uid": "5d3c", "annotations": map[string]any{lastApplied: "hunter2"}},
		"data": map[string]any{"a": "hunter2"}, "stringData": map[string]any{"b": "hunter2"},
	}
	for _, key := range []string{"5d3c", ""} {
		text := fmt.Sprint(Masked(secret, key))
		require.NotContains(t, text, "hunter2")
		require.NotContains(t, text, "5d3c")
	}
	require.Equal(t, map[string]any{"a": "hidden"}, Masked(secret, "")["data"])
	require.Equal(t, "hunter2", stringAt(secret, "data", "a"), "the object itself stays")
}
