package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tell is the history of some objects in lines: what a user reads.
func tell(t *testing.T, r *Registry, want func(Key) bool) (lines []string) {
	t.Helper()
	clock, err := r.Clock(t.Context())
	require.NoError(t, err)
	timeline, err := r.History(t.Context(), clock, want)
	require.NoError(t, err)
	for step, err := range timeline.Steps(t.Context()) {
		require.NoError(t, err)
		require.False(t, step.Gap)
		require.LessOrEqual(t, step.When.Bound().Seconds(), 2.0)
		var line strings.Builder
		fmt.Fprintf(&line, "%d %s", step.Revision, step.Event)
		for _, a := range step.By() {
			line.WriteString(" by " + a.String())
		}
		if step.Event == Updated {
			for _, f := range step.Fields(false) {
				line.WriteString("; " + f.String())
			}
		}
		lines = append(lines, line.String())
	}
	return lines
}

func named(plural, namespace, name string) func(Key) bool {
	return func(k Key) bool { return k.Plural == plural && k.Namespace == namespace && k.Name == name }
}

// TestHarbourHistory: a ConfigMap that was created three times, one that was
// deleted for good, and a Deployment that got another image and was scaled.
func TestHarbourHistory(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	require.Equal(t, []string{
		"1217 updated by kubectl-patch update; + data.w: 3",
		"1216 re-created by kubectl-create update",
		"1215 deleted",
		"1214 updated by kubectl-patch update; + data.w: 2",
		"1213 re-created by kubectl-create update",
		"1212 deleted",
		"1211 updated by kubectl-patch update; + data.w: 1",
		"1210 created by kubectl-create update",
	}, tell(t, r, named("configmaps", "infra-production", "flip")))
	require.Equal(t, []string{"1402 deleted", "1400 created by kubectl-create update"},
		tell(t, r, named("configmaps", "infra-production", "gone")))
	supercronic := tell(t, r, named("deployments", "infra-production", "supercronic"))
	require.Contains(t, supercronic, "1367 updated by kubectl update (scale) by kubectl-client-side-apply update; spec.replicas: 3 -> 4")
	require.Contains(t, supercronic, "1218 updated by kubectl-set update; spec.template.spec.containers[name=supercronic].image: "+
		"registry.example.com/supercronic:v0.2.29 -> registry.example.com/supercronic:v0.2.30")
}

// TestHarbourTrash: a deleted namespace comes back whole, as it was before the
// namespace controller began; an object that was deleted by itself as well.
func TestHarbourTrash(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	trash, err := r.Trash(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Zero(t, trash.Lost())
	deleted := trash.Registry()

	selected, err := deleted.Select(t.Context(), Selection{Namespaces: []string{"infra-staging"}})
	require.NoError(t, err)
	plan, err := Clean(selected.Objects, CleanOptions{Beside: selected.Beside})
	require.NoError(t, err)
	var names []string
	for _, m := range plan.Manifests {
		names = append(names, m.Object.String())
		content, err := m.Object.Content()
		require.NoError(t, err)
		require.Nil(t, valueAt(content, "metadata", "deletionTimestamp"), m.Object)
	}
	require.Equal(t, []string{
		"namespaces infra-staging",
		"configmaps infra-staging/doomed", "configmaps infra-staging/doomed2", "deployments.apps infra-staging/web",
	}, names)

	// The same as a look at the revision before the namespace was deleted.
	before, err := New(r.reader, Options{Revision: 1402, Keyring: r.opts.Keyring}).Select(t.Context(), Selection{Namespaces: []string{"infra-staging"}})
	require.NoError(t, err)
	require.Equal(t, objectStrings(before.Objects), objectStrings(selected.Objects))

	gone, ok := trash.Gone(Key{Path: "/registry/configmaps/infra-production/gone"})
	require.True(t, ok)
	require.EqualValues(t, 1402, gone.Revision)
	_, ok = trash.Gone(Key{Path: "/registry/configmaps/infra-production/flip"})
	require.False(t, ok, "it was deleted twice and is there")

	// Before the deletion nothing of it is in the trash.
	older, err := New(r.reader, Options{Revision: 1401}).Trash(t.Context(), nil, named("configmaps", "infra-production", "gone"))
	require.NoError(t, err)
	require.Empty(t, older.Items)
	at, err := New(r.reader, Options{Revision: 1404}).Trash(t.Context(), nil, named("configmaps", "infra-production", "gone"))
	require.NoError(t, err)
	selected, err = at.Registry().Select(t.Context(), Selection{Namespaces: []string{"infra-production"}})
	require.NoError(t, err)
	require.Contains(t, objectStrings(selected.Objects), "namespaces infra-production", "what lives stands beside it, for the rules")
	require.Contains(t, objectStrings(selected.Objects), "replicasets.apps infra-production/supercronic-557b984f7b")
	require.Contains(t, objectStrings(selected.Objects), "configmaps infra-production/gone 1400", "of an older revision as well")
	seen, ok := r.LastSeen(t.Context(), nil, func(k Key) bool { return k.Namespace == "infra-staging" && k.Plural == "configmaps" })
	require.True(t, ok)
	require.EqualValues(t, 1441, seen.Revision)
}

func objectStrings(objects []*Object) string {
	var lines []string
	for _, o := range objects {
		lines = append(lines, fmt.Sprintf("%s %d", o, o.KV.ModRevision))
	}
	return strings.Join(lines, "\n")
}

// TestSecretsAreDigests: nothing of a Secret's values is in its history.
func TestSecretsAreDigests(t *testing.T) {
	t.Parallel()
	secret := func(value, extra string) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "Secret",
			"metadata": map[string]any{
				"name": "s", "uid": "5d3c", "annotations": map[string]any{lastApplied: value},
			},
			"data": map[string]any{"password": value, "user": extra},
		}
	}
	before, after := maskPair(secret("aHVudGVyMg==", "YQ=="), secret("Y29ycmVjdA==", "YQ=="), false)
	changes := DiffFields(withoutNoise(before), withoutNoise(after))
	require.Len(t, changes, 1, "the user is the same and shows it: %v", changes)
	require.Equal(t, "data.password", changes[0].Path)
	text := fmt.Sprint(before, after, changes)
	require.NotContains(t, text, "aHVudGVyMg")
	require.NotContains(t, text, "Y29ycmVjdA")
	require.NotContains(t, text, "5d3c", "with the uid a digest could be guessed")
	before, _ = maskPair(secret("aHVudGVyMg==", ""), nil, true)
	require.Contains(t, fmt.Sprint(before), "aHVudGVyMg")
}
