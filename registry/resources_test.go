package registry

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
)

// storagePath is one line of testdata/harbour/storage-paths.tsv: what the
// storage test of Kubernetes (test/integration/etcd) says about one resource.
type storagePath struct {
	key     string
	gvr     schema.GroupVersionResource
	created bool
}

func storagePaths(t *testing.T) []storagePath {
	data, err := os.ReadFile(filepath.Join("..", "testdata", "harbour", "storage-paths.tsv"))
	require.NoError(t, err)
	var paths []storagePath
	for line := range strings.Lines(string(data)) {
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		gvr := strings.Split(col[1], "/")
		paths = append(paths, storagePath{
			key:     col[0],
			gvr:     schema.GroupVersionResource{Group: gvr[0], Version: gvr[1], Resource: gvr[2]},
			created: col[2] == "ok",
		})
	}
	return paths
}

func TestStoragePathsNameTheirResource(t *testing.T) {
	t.Parallel()
	created := 0
	for _, p := range storagePaths(t) {
		if p.created {
			created++
		}
		key, err := ParseKey(DefaultPrefix, p.key)
		require.NoError(t, err, p.key)
		require.Equal(t, p.key[strings.LastIndex(p.key, "/")+1:], key.Name, p.key)

		r, ok := LookupResource(p.gvr.GroupResource())
		if !ok { // the test's own custom resources
			require.Contains(t, p.gvr.Group, ".com", p.key)
			require.Equal(t, p.gvr.GroupResource(), key.GroupResource(), p.key)
			continue
		}
		require.Equal(t, r.GroupResource(), key.GroupResource(), p.key)
		require.Equal(t, r.Namespaced, key.Namespace == "etcdstoragepathtestnamespace", p.key)
		require.True(t, strings.HasPrefix(p.key, DefaultPrefix+"/"+r.Prefix+"/"), p.key)
	}
	require.Equal(t, 85, created)
}

func TestEveryBuiltinResourceHasAStoragePath(t *testing.T) {
	t.Parallel()
	paths := storagePaths(t)
	for _, r := range Builtins() {
		require.Equal(t, !r.Removed, slices.ContainsFunc(paths, func(p storagePath) bool {
			return strings.HasPrefix(p.key, DefaultPrefix+"/"+r.Prefix+"/")
		}), r.String())
	}
}

func TestBuiltinKindsAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	for _, r := range Builtins() {
		gvk := r.GroupKind().WithVersion(r.Version)
		outside := r.Group == "apiextensions.k8s.io" || r.Group == "apiregistration.k8s.io"
		require.Equal(t, !r.Removed && !outside, scheme.Scheme.Recognizes(gvk), gvk.String())
	}
}

// The strategies and storages in the source of kube-apiserver are where
// discovery gets scope, short names and categories from.
func TestBuiltinNamesAreThoseOfTheAPIServer(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "pkg/registry/*/*/storage/storage.go"))
	require.NoError(t, err)

	bySingular := map[string]Resource{}
	for _, r := range Builtins() {
		if !r.Removed && !strings.Contains(r.Prefix, ".") { // those live in modules of their own
			bySingular[r.Singular] = r
		}
	}
	for _, file := range files {
		source := readSource(t, file)
		singular := firstMatch(source, `SingularQualifiedResource: +\w+\.Resource\("(\w+)"\)`)
		if singular == "" || singular == "carp" { // reviews are never stored; carp is their test kind
			continue
		}
		r, ok := bySingular[singular]
		require.True(t, ok, "no row for %s", singular)
		delete(bySingular, singular)
		require.Equal(t, strings.Join(r.ShortNames, `", "`), firstMatch(source, `ShortNames\(\) \[\]string \{\s+return \[\]string\{"(.*)"\}`), singular)
		require.Equal(t, strings.Join(r.Categories, `", "`), firstMatch(source, `Categories\(\) \[\]string \{\s+return \[\]string\{"(.*)"\}`), singular)

		strategy := readSource(t, filepath.Join(filepath.Dir(file), "..", "strategy.go"))
		scope := firstMatch(strategy, `NamespaceScoped\(\) bool \{\s+return (true|false)`)
		require.Equal(t, r.Namespaced, scope == "true", singular)
		require.NotEmpty(t, scope, singular)
	}
	require.Empty(t, bySingular, "rows that kube-apiserver does not have")
}

func readSource(t *testing.T, file string) string {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

func firstMatch(s, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

func harbourResources() *Resources {
	return NewResources([]CustomResource{
		{
			Group: "fleet.example.com", Kind: "Ship", Plural: "ships", ShortNames: []string{"sh", "po"},
			Categories: []string{"all", "fleet"}, Namespaced: true,
			Versions: []CustomVersion{
				{Name: "v1beta2", Served: true},
				{Name: "v1", Served: true, Storage: true},
				{Name: "v2", Served: false},
			},
		},
		{Group: "kueue.x-k8s.io", Kind: "Workload", Plural: "workloads", Singular: "workload", Versions: []CustomVersion{{Name: "v1beta1", Served: true}}},
		{Group: "serving.knative.dev", Kind: "Service", Plural: "services", Singular: "service", ShortNames: []string{"ksvc"}},
	})
}

func TestFindTakesWhatKubectlTakes(t *testing.T) {
	t.Parallel()
	rs := harbourResources()
	for words, want := range map[string]string{
		"pods":                           "pods",
		"pod":                            "pods",
		"po":                             "pods", // not the ship's short name
		"Pod":                            "pods",
		"pods.v1.":                       "pods",
		"deploy":                         "deployments.apps",
		"Deployment":                     "deployments.apps",
		"deployments.apps":               "deployments.apps",
		"deployments.ap":                 "deployments.apps",
		"deployments.v1.apps":            "deployments.apps",
		"deployment.v1beta1.extensions":  "deployments.apps",
		"deploy.extensions":              "deployments.apps",
		"ingresses.extensions":           "ingresses.networking.k8s.io",
		"events":                         "events",
		"event.events.k8s.io":            "events",
		"events.v1.events.k8s.io":        "events",
		"endpoints":                      "endpoints",
		"crd":                            "customresourcedefinitions.apiextensions.k8s.io",
		"psp":                            "podsecuritypolicies.policy",
		"svc,deploy,service":             "services deployments.apps",
		"ship":                           "ships.fleet.example.com",
		"sh":                             "ships.fleet.example.com",
		"ships.fleet.example.com":        "ships.fleet.example.com",
		"Ship.v1beta2.fleet.example.com": "ships.fleet.example.com",
		"ships.fleet":                    "ships.fleet.example.com",
		"fleet":                          "ships.fleet.example.com",
		"services":                       "services",
		"ksvc":                           "services.serving.knative.dev",
		"services.serving.knative.dev":   "services.serving.knative.dev",
		"workloads":                      "workloads.kueue.x-k8s.io", // scheduling.k8s.io's beta is off by default
		"workloads.scheduling.k8s.io":    "workloads.scheduling.k8s.io",
		"all": "pods replicationcontrollers services daemonsets.apps deployments.apps replicasets.apps statefulsets.apps " +
			"horizontalpodautoscalers.autoscaling cronjobs.batch jobs.batch ships.fleet.example.com",
	} {
		found, err := rs.Find(words)
		require.NoError(t, err, words)
		var names []string
		for _, r := range found {
			names = append(names, r.String())
		}
		require.Equal(t, want, strings.Join(names, " "), words)
	}
}

func TestFindNamesTheNearest(t *testing.T) {
	t.Parallel()
	rs := harbourResources()
	for word, want := range map[string]string{
		"deploymets":                       `no resource type "deploymets" (nearest: deployments.apps)`,
		"pdo":                              `no resource type "pdo" (nearest: pods, poddisruptionbudgets.policy, ships.fleet.example.com)`,
		"shipz":                            `no resource type "shipz" (nearest: ships.fleet.example.com)`,
		"ingresss.networking.k8s.io":       `no resource type "ingresss.networking.k8s.io" (nearest: ingresses.networking.k8s.io)`,
		"ships.v2alpha1.fleet.example.com": `no resource type "ships.v2alpha1.fleet.example.com" (nearest: ships.fleet.example.com)`,
		"pods.apps":                        `no resource type "pods.apps" (nearest: pods)`,
		"\x1b[31mzzzzzzzzz":                `no resource type "\x1b[31mzzzzzzzzz"`,
		"":                                 `no resource type ""`,
		"pods,":                            `no resource type ""`,
	} {
		_, err := rs.Find(word)
		var unknown *UnknownResourceError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, want, err.Error())
	}
}

func TestCustomVersionPreferredIsTheHighestServed(t *testing.T) {
	t.Parallel()
	c, ok := harbourResources().Custom(schema.GroupResource{Group: "fleet.example.com", Resource: "ships"})
	require.True(t, ok)
	require.Equal(t, "v1", c.Preferred())
	require.Equal(t, "ship", c.Resource().Singular)
	require.Empty(t, CustomResource{}.Preferred())
}

func TestLookupKind(t *testing.T) {
	t.Parallel()
	rs := harbourResources()
	for gk, want := range map[schema.GroupKind]string{
		{Kind: "Node"}: "nodes",
		{Group: "extensions", Kind: "NetworkPolicy"}: "networkpolicies.networking.k8s.io",
		{Group: "events.k8s.io", Kind: "Event"}:      "events",
		{Group: "fleet.example.com", Kind: "Ship"}:   "ships.fleet.example.com",
	} {
		r, ok := rs.LookupKind(gk)
		require.True(t, ok, gk)
		require.Equal(t, want, r.String())
	}
	_, ok := rs.LookupKind(schema.GroupKind{Group: "example.com", Kind: "Node"})
	require.False(t, ok)
}

func TestFindRoundTrips(t *testing.T) {
	t.Parallel()
	rs := harbourResources()
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(rs.All()).Draw(t, "resource")
		word := r.Plural
		if r.Group != "" {
			word += "." + rapid.SampledFrom([]string{"", r.Version + "."}).Draw(t, "version") + r.Group
		}
		found, err := rs.Find(word)
		if r.Removed || r.Custom && r.Version == "" {
			return // known by group and plural, not by version
		}
		require.NoError(t, err)
		require.Equal(t, []Resource{r}, found)
	})
}

func FuzzFind(f *testing.F) {
	f.Add("pods.v1.apps,all")
	f.Add("..,.")
	rs := harbourResources()
	f.Fuzz(func(t *testing.T, words string) {
		found, err := rs.Find(words)
		require.Equal(t, err != nil, len(found) == 0)
	})
}
