package registry_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/registry"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ apiVersion, kind, namespace, name, want string }{
		{"apps/v1", "Deployment", "infra-production", "supercronic", "deployments_infra-production_supercronic"},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", "", "system:node", "clusterroles_system%3Anode"},
		{"fleet.example.com/v1", "Ship", "infra-production", "aurora", "ships.fleet.example.com_infra-production_aurora"},
		{"v1", "ConfigMap", "a", "../../etc/passwd", "configmaps_a_..%2F..%2Fetc%2Fpasswd"},
		{"v1", "ConfigMap", "a", "b_c", "configmaps_a_b%5Fc"},
		{"v1", "ConfigMap", "", "a_b_c", "configmaps_a%5Fb%5Fc"},
		{"v1", "ConfigMap", "a", "100%", "configmaps_a_100%25"},
		{"v1", "ConfigMap", "a", "\x1b[2Jé\x00", "configmaps_a_%1B%5B2J%C3%A9%00"},
		{"v1", "ConfigMap", "..", ".", "configmaps_.._."},
	} {
		o := objectOf(map[string]any{"apiVersion": tc.apiVersion, "kind": tc.kind, "metadata": map[string]any{"name": tc.name, "namespace": tc.namespace}})
		require.Equal(t, tc.want, registry.FileName(o))
	}
}

func nameOf(plural, namespace, name string) string {
	return registry.FileName(&registry.Object{Key: registry.Key{Plural: plural}, Namespace: namespace, Name: name})
}

func TestLongFileNamesAreCutAndStayDistinct(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 253)
	a, b := nameOf("configmaps", "shop", long), nameOf("configmaps", "shop", long[:252]+"y")
	require.NotEqual(t, a, b)
	require.Len(t, a+".apply", 200)
	// A name that looks like the cut one is not it.
	require.NotEqual(t, a, nameOf("configmaps", "shop", strings.TrimPrefix(a, "configmaps_shop_")))
}

// Two objects whose names differ in case only are two files where case does
// not count.
func TestCaseDoesNotMerge(t *testing.T) {
	t.Parallel()
	plan := cleaned(t, objectsOfYAML(t, []byte(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: Admin}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admin}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: other}
`)))
	require.Len(t, plan.Manifests, 3)
	require.NotEqual(t, strings.ToLower(plan.Manifests[0].File), strings.ToLower(plan.Manifests[1].File))
	require.Equal(t, "25-roles/clusterroles_other.yaml", plan.Manifests[2].File)
}

// FuzzFileName holds that a name is one harmless path element, that a file can
// be made of it, and that it belongs to one object alone.
func FuzzFileName(f *testing.F) {
	f.Add("pods", "shop", "web", "pods", "shop", "web_1")
	f.Add("pods", "a_b", "c", "pods", "a", "b_c")
	f.Add("-rf", "..", "/", ".hidden", "", "%2F")
	f.Add("pods", "shop", strings.Repeat("x", 300), "pods", "shop", strings.Repeat("x", 299))
	f.Add("", "", "", "", "", "\x00")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, plural, namespace, name, plural2, namespace2, name2 string) {
		file, other := nameOf(plural, namespace, name), nameOf(plural2, namespace2, name2)
		require.LessOrEqual(t, len(file)+len(".yaml"), 200)
		require.NotContains(t, ".-", file[:1])
		require.Empty(t, strings.Trim(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-%"))
		require.True(t, filepath.IsLocal(file))
		require.Equal(t, file, filepath.Base(file))
		same := plural == plural2 && namespace == namespace2 && name == name2
		require.Equal(t, same, file == other)
		path := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(file)))[:8]+file[:min(len(file), 190)])
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Remove(path))
	})
}
