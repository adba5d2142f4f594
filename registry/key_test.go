package registry

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]Key{
		"/registry/pods/infra/web-0":                       {Plural: "pods", Namespace: "infra", Name: "web-0"},
		"/registry/deployments/infra/web":                  {Group: "apps", Plural: "deployments", Namespace: "infra", Name: "web"},
		"/registry/minions/node-1":                         {Plural: "nodes", Name: "node-1"},
		"/registry/podsecuritypolicy/restricted":           {Group: "policy", Plural: "podsecuritypolicies", Name: "restricted"},
		"/registry/controllers/infra/rc":                   {Plural: "replicationcontrollers", Namespace: "infra", Name: "rc"},
		"/registry/services/specs/infra/web":               {Plural: "services", Namespace: "infra", Name: "web"},
		"/registry/services/endpoints/infra/web":           {Plural: "endpoints", Namespace: "infra", Name: "web"},
		"/registry/ingress/infra/web":                      {Group: "networking.k8s.io", Plural: "ingresses", Namespace: "infra", Name: "web"},
		"/registry/clusterroles/system:node":               {Group: "rbac.authorization.k8s.io", Plural: "clusterroles", Name: "system:node"},
		"/registry/fleet.example.com/ships/infra/aurora":   {Group: "fleet.example.com", Plural: "ships", Namespace: "infra", Name: "aurora"},
		"/registry/deckhouse.io/moduleconfigs/x":           {Group: "deckhouse.io", Plural: "moduleconfigs", Name: "x"},
		"/registry/apiregistration.k8s.io/apiservices/v1.": {Group: "apiregistration.k8s.io", Plural: "apiservices", Name: "v1."},
		"/registry/ranges/serviceips":                      {Plural: "ranges", Name: "serviceips", System: true},
		"/registry/masterleases/192.168.0.1":               {Plural: "masterleases", Name: "192.168.0.1", System: true},
		"/registry/somethingnew/infra/x":                   {Plural: "somethingnew", Namespace: "infra", Name: "x"},
	} {
		want.Path = path
		got, err := ParseKey(DefaultPrefix, path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for path, why := range map[string]string{
		"/kubernetes.io/pods/infra/web": "does not stand under /registry",
		"/registryx/pods/infra/web":     "does not stand under /registry",
		"compact_rev_key":               "does not stand under /registry",
		"":                              "does not stand under /registry",
		"/registry/":                    "names no object",
		"/registry/pods":                "names no object",
		"/registry/pods//web":           "has an empty segment",
		"/registry/pods/infra/":         "has an empty segment",
		"/registry/services/x":          "names no object",
		"/registry/services/other/a/b":  "is neither services/specs nor services/endpoints",
		"/registry/fleet.example.com":   "names no object",
		"/registry/pods/a/b/c":          "does not end in [namespace/]name",
	} {
		_, err := ParseKey(DefaultPrefix, path)
		require.ErrorContains(t, err, why, path)
	}
}

// Kubernetes' own storage test says where each kind stands.
func TestParseKeyOfEveryStoredKind(t *testing.T) {
	t.Parallel()
	table, err := os.Open("../testdata/harbour/storage-paths.tsv")
	require.NoError(t, err)
	defer table.Close()
	created := 0
	for lines := bufio.NewScanner(table); lines.Scan(); {
		path, rest, _ := strings.Cut(lines.Text(), "\t")
		gvr, outcome, _ := strings.Cut(rest, "\t")
		if outcome != "ok" {
			continue
		}
		created++
		key, err := ParseKey(DefaultPrefix, path)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(gvr, "/"+key.Plural), "%s is %s", path, gvr)
		require.True(t, strings.HasSuffix(path, key.Name))
		require.Equal(t, strings.Contains(path, "/etcdstoragepathtestnamespace/"), key.Namespace != "")
	}
	require.Equal(t, 85, created)
}

func TestParseKeyDoesNotAllocate(t *testing.T) {
	builtinResource("pods") // builds the table
	for _, path := range []string{"/registry/pods/infra/web-0", "/registry/services/specs/infra/web", "/registry/fleet.example.com/ships/infra/aurora"} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = ParseKey(DefaultPrefix, path) }))
	}
}

// A key's parts are parts of the key, whatever they hold.
func TestParseKeyLosesNothing(t *testing.T) {
	t.Parallel()
	segment := rapid.StringMatching(`[a-z0-9:.%\x00-\x1f]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(segment, 1, 5).Draw(t, "segments")
		path := "/registry/" + strings.Join(parts, "/")
		key, err := ParseKey(DefaultPrefix, path)
		if err != nil {
			return
		}
		require.True(t, strings.HasSuffix(path, "/"+key.Name))
		if key.Namespace != "" {
			require.True(t, strings.HasSuffix(path, "/"+key.Namespace+"/"+key.Name))
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, seed := range []string{"/registry/pods/infra/web-0", "/registry/services/specs/a/b", "/registry/fleet.example.com/ships/a/b", "/registry//", "/registry"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		key, err := ParseKey(DefaultPrefix, path)
		if err == nil && (key.Path != path || key.Name == "" || key.Plural == "") {
			t.Fatalf("%q gives %+v", path, key)
		}
	})
}

func BenchmarkParseKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseKey(DefaultPrefix, "/registry/pods/infra-production/supercronic-56b5b7bfd-bbznw")
	}
}
