package lifeboat_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// What contradicts itself is refused before anything is read.
func TestExtractRefuses(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{})
	one := registry.Selection{Namespaces: []string{"infra-production"}}
	for name, tc := range map[string]struct {
		what registry.Selection
		opts lifeboat.ExtractOptions
		says string
	}{
		"a clone as it is stored":     {one, lifeboat.ExtractOptions{ToNamespace: "copy", Profile: registry.Raw}, "changes nothing"},
		"suspended as it is stored":   {one, lifeboat.ExtractOptions{Suspend: true, Profile: registry.Raw}, "changes nothing"},
		"a clone of everything":       {registry.Selection{All: true}, lifeboat.ExtractOptions{ToNamespace: "copy"}, "of one namespace"},
		"a clone with the cluster's":  {registry.Selection{Namespaces: one.Namespaces, Cluster: true}, lifeboat.ExtractOptions{ToNamespace: "copy"}, "of one namespace"},
		"a clone of two":              {registry.Selection{Namespaces: []string{"infra-production", "infra-production-2"}}, lifeboat.ExtractOptions{ToNamespace: "copy"}, "of one namespace"},
		"a clone under no name":       {one, lifeboat.ExtractOptions{ToNamespace: "Copy!"}, "Copy!"},
		"an engine that there is not": {one, lifeboat.ExtractOptions{Engine: "sqlite"}, `unknown engine "sqlite"`},
		"a release that there is not": {one, lifeboat.ExtractOptions{Target: "new"}, "new"},
	} {
		_, err := b.Extract(t.Context(), tc.what, tc.opts)
		require.ErrorContains(t, err, tc.says, name)
		require.Equal(t, lifeboat.Misused, lifeboat.ClassOf(err), name)
	}
	_, err := b.Extract(t.Context(), registry.Selection{Namespaces: []string{"infra-production"}, Words: "ingressclass"}, lifeboat.ExtractOptions{})
	require.ErrorContains(t, err, "no object in the backup is of these kinds")
	got, err := b.Extract(t.Context(), one, lifeboat.ExtractOptions{ToNamespace: "copy", Suspend: true})
	require.NoError(t, err)
	require.NotEmpty(t, got.Manifests)
	for _, m := range got.Manifests {
		content, err := m.Content()
		require.NoError(t, err)
		namespace, _, err := unstructured.NestedString(content, "metadata", "namespace")
		require.NoError(t, err)
		require.Contains(t, []string{"", "copy"}, namespace, m.File)
	}
}

const (
	shipKey       = "/registry/fleet.example.com/ships/infra-production/aurora"
	shipsKey      = "/registry/apiextensions.k8s.io/customresourcedefinitions/ships.fleet.example.com"
	preserve      = `"x-kubernetes-preserve-unknown-fields":true`
	wantsACaptain = preserve + `,"required":["captain"]`
)

// For a release that is named, custom resources are held against the definitions
// that will be there: of the extraction, else of the backup.
func TestExtractHoldsToDefinitions(t *testing.T) {
	t.Parallel()
	ship := registry.Selection{Namespaces: []string{"infra-production"}, Words: "ships"}
	captain := edited(t, valueOf(shipsKey, func(value []byte) []byte {
		require.Contains(t, string(value), preserve)
		return bytes.Replace(value, []byte(preserve), []byte(wantsACaptain), 1)
	}))
	gone := filepath.Join(t.TempDir(), "gone.db")
	data, err := os.ReadFile(captain)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(gone, data, 0o600))
	change(t, gone, deletion(shipKey))
	undefined := edited(t, valueOf(shipsKey, func([]byte) []byte { return []byte("of no kind") }))
	all := registry.Selection{Namespaces: ship.Namespaces}
	for name, tc := range map[string]struct {
		path    string
		what    registry.Selection
		target  string // "deleted" before it: of what was deleted
		refused bool
		note    bool
	}{
		"as it was":                                {harbour, ship, "1.34", false, false},
		"its definition is in the backup":          {captain, ship, "1.34", true, false},
		"its definition comes along":               {captain, registry.Selection{Namespaces: ship.Namespaces, Cluster: true}, "1.34", true, false},
		"it was deleted, and its definition lives": {gone, ship, "deleted 1.34", true, false},
		"no release is named":                      {captain, ship, "", false, false},
		"its definition cannot be read":            {undefined, all, "1.34", false, true},
		"and of no custom resource a word":         {undefined, registry.Selection{Namespaces: ship.Namespaces, Words: "svc"}, "1.34", false, false},
	} {
		target, deleted := strings.CutPrefix(tc.target, "deleted ")
		got, err := open(t, tc.path, lifeboat.Options{}).Extract(t.Context(), tc.what, lifeboat.ExtractOptions{Target: target, Deleted: deleted})
		require.NoError(t, err, name)
		refused, noted := false, false
		for _, m := range got.Manifests {
			for _, p := range m.Object.Problems {
				if p.Code == registry.Refused {
					require.Equal(t, shipKey, m.Object.Key.Path, name)
					require.Contains(t, p.Detail, "captain", name)
					refused = true
				}
			}
			noted = noted || strings.Contains(strings.Join(m.Notes, ";"), `was not held against its definition: "ships.fleet.example.com" is not in the backup`)
		}
		require.Equal(t, tc.refused, refused, name)
		require.Equal(t, tc.note, noted, name)
		if tc.refused {
			require.Equal(t, lifeboat.Incomplete, lifeboat.ClassOf(got.Verdict()), name)
		}
	}
}

// Locked is what no key opens, where all of it is; where something came, the rest is
// missing.
func TestExtractVerdict(t *testing.T) {
	t.Parallel()
	b := open(t, snapshotFile(t), lifeboat.Options{})
	for words, want := range map[string]lifeboat.Class{"secret": lifeboat.NoKey, "secret,cm": lifeboat.Incomplete, "cm": lifeboat.Failed} {
		got, err := b.Extract(t.Context(), registry.Selection{Namespaces: []string{"infra-production"}, Words: words}, lifeboat.ExtractOptions{})
		require.NoError(t, err)
		if words == "cm" {
			require.NoError(t, got.Verdict())
			continue
		}
		require.Equal(t, want, lifeboat.ClassOf(got.Verdict()), words)
	}
}
