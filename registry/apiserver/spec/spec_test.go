package spec_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	discoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
)

var update = flag.Bool("update", false, "rewrite the embedded files from the module k8s.io/kubernetes")

// kubernetes is the module's folder and version.
func kubernetes(t testing.TB) (dir, version string) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", "k8s.io/kubernetes").Output()
	require.NoError(t, err)
	dir, version, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return dir, version
}

func TestVersionIsThatOfTheLinkedKubernetes(t *testing.T) {
	t.Parallel()
	_, version := kubernetes(t)
	if *update {
		require.NoError(t, os.WriteFile("version.txt", []byte(version+"\n"), 0o644))
		return
	}
	require.Equal(t, version, spec.Version())
}

func TestDiscoveryIsThatOfTheLinkedKubernetes(t *testing.T) {
	t.Parallel()
	want := moduleDiscovery(t)
	if *update {
		data, err := json.MarshalIndent(want, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("discovery.json", append(data, '\n'), 0o644))
		return
	}
	got, err := spec.Discovery()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// moduleDiscovery joins the aggregated document, which has all groups but the
// core one, and the core group's plain one.
func moduleDiscovery(t *testing.T) *discoveryv2.APIGroupDiscoveryList {
	dir, _ := kubernetes(t)
	read := func(name string, into any) {
		data, err := os.ReadFile(filepath.Join(dir, "api/discovery", name))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, into))
	}
	var core metav1.APIResourceList
	read("api__v1.json", &core)
	group := discoveryv2.APIGroupDiscovery{Versions: []discoveryv2.APIVersionDiscovery{{Version: "v1", Freshness: discoveryv2.DiscoveryFreshnessCurrent}}}
	for _, r := range core.APIResources {
		addPlain(&group.Versions[0], r)
	}
	var list discoveryv2.APIGroupDiscoveryList
	read("aggregated_v2.json", &list)
	list.Items = append([]discoveryv2.APIGroupDiscovery{group}, list.Items...)
	return &list
}

// addPlain adds a resource, or a subresource to the one before it, as
// k8s.io/apiserver's ConvertGroupVersionIntoToDiscovery does.
func addPlain(version *discoveryv2.APIVersionDiscovery, r metav1.APIResource) {
	kind := &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
	if kind.Version == "" {
		kind.Version = version.Version
	}
	scope := discoveryv2.ScopeCluster
	if r.Namespaced {
		scope = discoveryv2.ScopeNamespace
	}
	parent, sub, ok := strings.Cut(r.Name, "/")
	if !ok {
		version.Resources = append(version.Resources, discoveryv2.APIResourceDiscovery{
			Resource: r.Name, ResponseKind: kind, Scope: scope, SingularResource: r.SingularName,
			Verbs: r.Verbs, ShortNames: r.ShortNames, Categories: r.Categories,
		})
		return
	}
	for i := range version.Resources {
		if version.Resources[i].Resource == parent {
			version.Resources[i].Subresources = append(version.Resources[i].Subresources, discoveryv2.APISubresourceDiscovery{
				Subresource: sub, ResponseKind: kind, Verbs: r.Verbs,
			})
		}
	}
}

func TestOpenAPIIsThatOfTheLinkedKubernetes(t *testing.T) {
	t.Parallel()
	dir, _ := kubernetes(t)
	files, err := filepath.Glob(filepath.Join(dir, "api/openapi-spec/v3/api*_openapi.json"))
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	want := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, data))
		path := strings.TrimSuffix(filepath.Base(file), "_openapi.json")
		want[strings.ReplaceAll(path, "__", "/")] = compact.Bytes()
	}
	if *update {
		writeOpenAPI(t, want, files)
		return
	}
	paths, err := spec.Paths()
	require.NoError(t, err)
	require.Len(t, paths, len(want))
	for path, document := range want {
		got, err := spec.OpenAPI(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(document, got), path)
	}
	none, err := spec.OpenAPI("apis/nobody/v1")
	require.NoError(t, err)
	require.Nil(t, none)
}

func writeOpenAPI(t *testing.T, documents map[string][]byte, files []string) {
	var out bytes.Buffer
	zw, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(16<<20))
	require.NoError(t, err)
	tw := tar.NewWriter(zw)
	for _, file := range files { // Glob's order: similar documents are neighbours
		path := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), "_openapi.json"), "__", "/")
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: path, Size: int64(len(documents[path])), Mode: 0o644}))
		_, err := tw.Write(documents[path])
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, zw.Close())
	require.NoError(t, os.WriteFile("openapi-v3.tar.zst", out.Bytes(), 0o644))
}

const metaV1 = "io.k8s.apimachinery.pkg.apis.meta.v1."

// What is said in OpenAPI v2 is what Kubernetes itself says in it.
func TestDefinitionsAreThoseOfTheLinkedKubernetes(t *testing.T) {
	t.Parallel()
	dir, _ := kubernetes(t)
	data, err := os.ReadFile(filepath.Join(dir, "api/openapi-spec/swagger.json"))
	require.NoError(t, err)
	var want struct {
		Definitions map[string]any `json:"definitions"`
	}
	require.NoError(t, json.Unmarshal(data, &want))
	delete(want.Definitions, "io.k8s.apimachinery.pkg.version.Info") // of /version, which has no version of its own
	got, err := spec.Definitions()
	require.NoError(t, err)
	require.Len(t, got, len(want.Definitions))
	for name, definition := range want.Definitions {
		if name == metaV1+"DeleteOptions" || name == metaV1+"WatchEvent" { // they belong to all versions, served or not
			continue
		}
		require.Equal(t, definition, got[name], name)
	}
}
