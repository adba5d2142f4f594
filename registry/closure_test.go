package registry

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHarbourClosure: what a namespace needs of the cluster, why, and what it
// names that is nowhere. Read the file: it is what an operator is told.
func TestHarbourClosure(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	var text strings.Builder
	for _, sel := range []Selection{
		{Namespaces: []string{"infra-production"}},
		{Namespaces: []string{"infra-production"}, Words: "deploy", Refs: []Ref{{"deploy", "supercronic"}}},
		{Namespaces: []string{"etcdstoragepathtestnamespace"}},
	} {
		selected, err := r.Select(t.Context(), sel)
		require.NoError(t, err)
		closure, err := r.Closure(t.Context(), selected.Objects)
		require.NoError(t, err)
		fmt.Fprintf(&text, "# %s %s %v\n", sel.Namespaces[0], sel.Words, sel.Refs)
		for _, need := range closure.Needs {
			fmt.Fprintf(&text, "needs %s: %s\n", need.Object, need.Reason)
		}
		for _, d := range closure.Dangling {
			fmt.Fprintf(&text, "dangling: %s\n", d)
		}
		for _, w := range closure.Webhooks {
			fmt.Fprintf(&text, "webhook: %s\n", w)
		}
	}
	golden := filepath.Join("testdata", "closure.golden")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}
