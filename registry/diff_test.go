package registry

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestHarbourDiff: between two revisions of a real cluster stand the changes
// that were made by hand, and nothing that a cluster makes by itself.
func TestHarbourDiff(t *testing.T) {
	t.Parallel()
	now := harbour(t, Options{})
	at := func(rev int64) *Registry { return New(now.reader, Options{Revision: rev, Keyring: now.opts.Keyring}) }
	diffOf := func(a, b int64, opts DiffOptions) map[string]Difference {
		diff, err := DiffOf(t.Context(), at(a), at(b), opts)
		require.NoError(t, err)
		items := map[string]Difference{}
		for _, item := range diff.Items {
			items[string(item.Event)+" "+item.Key.Path] = item
		}
		return items
	}
	require.Empty(t, diffOf(1485, 1485, DiffOptions{Raw: true}), "between a backup and itself is nothing")

	// The Deployment was re-imaged and scaled: its Pods come and go with it.
	items := diffOf(1217, 1392, DiffOptions{})
	require.Len(t, items, 1)
	changed := items["updated /registry/deployments/infra-production/supercronic"]
	require.Equal(t, []FieldChange{
		{"spec.replicas", int64(3), int64(4)},
		{"spec.template.spec.containers[name=supercronic].image", "registry.example.com/supercronic:v0.2.29", "registry.example.com/supercronic:v0.2.30"},
	}, changed.Fields)
	require.Greater(t, len(diffOf(1217, 1392, DiffOptions{Raw: true})), 10, "with all that belongs to it")

	// A namespace that came and went.
	items = diffOf(1402, 1485, DiffOptions{Want: func(k Key) bool { return k.Namespace == "infra-staging" || k.Name == "infra-staging" }})
	require.Contains(t, items, "deleted /registry/namespaces/infra-staging")
	require.Contains(t, items, "deleted /registry/deployments/infra-staging/web")
	back := diffOf(1485, 1402, DiffOptions{Want: func(k Key) bool { return k.Namespace == "infra-staging" || k.Name == "infra-staging" }})
	require.Len(t, back, len(items))
	require.Contains(t, back, "created /registry/deployments/infra-staging/web")

	uid, err := now.ClusterUID(t.Context())
	require.NoError(t, err)
	require.Len(t, uid, 36)
}

// TestDiffIsComplete: without the rules a diff names every object whose stored
// bytes are not the same, between any two revisions, and no other.
func TestDiffIsComplete(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	stored := func(rev int64) map[string]string {
		all := map[string]string{}
		for e, err := range New(r.reader, Options{Revision: rev}).Entries(t.Context(), func(k Key) bool { return !k.System }) {
			require.NoError(t, err)
			all[e.Key.Path] = string(e.KV.Value)
		}
		return all
	}
	for _, pair := range [][2]int64{{700, 1300}, {1300, 700}, {1, 1485}, {1484, 1485}} {
		diff, err := DiffOf(t.Context(), New(r.reader, Options{Revision: pair[0], Keyring: r.opts.Keyring}),
			New(r.reader, Options{Revision: pair[1], Keyring: r.opts.Keyring}), DiffOptions{Raw: true})
		require.NoError(t, err)
		state, want := stored(pair[0]), stored(pair[1])
		for _, item := range diff.Items { // applied to the old, it gives the new
			switch item.Event {
			case Deleted:
				require.Contains(t, state, item.Key.Path)
				delete(state, item.Key.Path)
			case Created:
				require.NotContains(t, state, item.Key.Path)
				state[item.Key.Path] = want[item.Key.Path]
			default:
				require.NotEmpty(t, item.Fields)
				state[item.Key.Path] = want[item.Key.Path]
			}
		}
		require.Equal(t, want, state, "%d to %d", pair[0], pair[1])
	}
}

// TestDiffFields: nothing differs from itself, everything else shows, and the
// way back has the same fields with the sides changed.
func TestDiffFields(t *testing.T) {
	t.Parallel()
	var value *rapid.Generator[any]
	scalar := rapid.OneOf(rapid.Just(any("a")), rapid.Just(any("b")), rapid.Map(rapid.Int64Range(0, 3), func(n int64) any { return n }), rapid.Just(any(true)))
	value = rapid.Deferred(func() *rapid.Generator[any] {
		return rapid.OneOf(scalar, scalar,
			rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"name", "x", "y/z"}), value, 0, 3), func(m map[string]any) any { return m }),
			rapid.Map(rapid.SliceOfN(value, 0, 3), func(l []any) any { return l }))
	})
	object := rapid.MapOfN(rapid.SampledFrom([]string{"spec", "data", "list"}), value, 0, 3)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := object.Draw(rt, "a"), object.Draw(rt, "b")
		require.Empty(rt, DiffFields(a, copyValue(a).(map[string]any)))
		there, back := DiffFields(a, b), DiffFields(b, a)
		textA, err := json.Marshal(a)
		require.NoError(rt, err)
		textB, err := json.Marshal(b)
		require.NoError(rt, err)
		if string(textA) == string(textB) {
			require.Empty(rt, there)
			return
		}
		require.Len(rt, back, len(there))
	})
}
