package oracle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a build is broken by: it loses a ConfigMap, and raises a quota.
var faults = [][2]string{
	{"if err == nil && !yield(Entry{Key: key, KV: kv}, nil) {", `if err == nil && key.Name != "flip" && !yield(Entry{Key: key, KV: kv}, nil) {`},
	{"	o.Raw = plain\n", "	o.Raw = raised(entry.Key, plain)\n"},
}

const raised = `

// raised is the fault.
func raised(key Key, plain []byte) []byte {
	if key.Resource() != "resourcequotas" || key.Name != "q" {
		return plain
	}
	text := []byte(string(plain))
	for i := range text {
		if i+3 <= len(text) && string(text[i:i+3]) == "100" {
			copy(text[i:], "900")
		}
	}
	return text
}
`

// brokenLifeboat builds this checkout with the faults in it; the tree is not
// touched.
func brokenLifeboat(t *testing.T) lifeboat {
	t.Helper()
	path, err := filepath.Abs("../../registry/registry.go")
	require.NoError(t, err)
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(source)
	for _, f := range faults {
		require.Equal(t, 1, strings.Count(text, f[0]), "%q is not in registry.go", f[0])
		text = strings.Replace(text, f[0], f[1], 1)
	}
	dir := t.TempDir()
	broken, overlay := filepath.Join(dir, "registry.go"), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(broken, []byte(text+raised), 0o600))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: broken}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, list, 0o600))
	return buildLifeboat(t, "-overlay", overlay)
}

// TestBrokenBuild shows that neither a proof nor the comparison with the truth
// passes a build that loses an object and changes another: both extractions of
// such a build agree with each other.
func TestBrokenBuild(t *testing.T) {
	program := brokenLifeboat(t)
	findings, _ := program.untrue(t)
	require.Contains(t, findings, "ConfigMap infra-production/flip is neither written nor left out")
	require.Contains(t, strings.Join(findings, "\n"), "ResourceQuota infra-production/q: spec.hard.pods is 100, and 900")

	r, code := program.prove(t, harbour)
	require.Equal(t, 3, code, r.Reason)
	require.Equal(t, []string{"configmaps infra-production/flip"}, r.Unexpected)
	require.Contains(t, fmt.Sprint(r.Differing), "resourcequotas infra-production/q")
}
