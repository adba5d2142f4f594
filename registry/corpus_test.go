package registry

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// neverStored are the types of the corpus that are requests, answers or
// options of the API and have no place in etcd.
var neverStored = []string{
	"admission.k8s.io.v1.AdmissionReview", "admission.k8s.io.v1beta1.AdmissionReview",
	"apidiscovery.k8s.io.v2.APIGroupDiscovery", "apidiscovery.k8s.io.v2beta1.APIGroupDiscovery",
	"apps.v1beta1.DeploymentRollback", "extensions.v1beta1.DeploymentRollback",
	"core.v1.APIGroup", "core.v1.APIVersions", "core.v1.SerializedReference", "core.v1.Status", "core.v1.WatchEvent",
	"core.v1.CreateOptions", "core.v1.DeleteOptions", "core.v1.GetOptions", "core.v1.ListOptions",
	"core.v1.PatchOptions", "core.v1.UpdateOptions",
	"core.v1.NodeProxyOptions", "core.v1.PodAttachOptions", "core.v1.PodExecOptions", "core.v1.PodLogOptions",
	"core.v1.PodPortForwardOptions", "core.v1.PodProxyOptions", "core.v1.ServiceProxyOptions",
	"imagepolicy.k8s.io.v1alpha1.ImageReview",
}

// gone are the stored types of older releases that k8s.io/api no longer has:
// their metadata and raw bytes are kept.
var gone = []string{
	"autoscaling.v2beta1.HorizontalPodAutoscaler", "autoscaling.v2beta2.HorizontalPodAutoscaler",
	"certificates.k8s.io.v1alpha1.PodCertificateRequest",
	"networking.k8s.io.v1alpha1.IPAddress", "networking.k8s.io.v1alpha1.ServiceCIDR",
	"resource.k8s.io.v1alpha3.DeviceClass", "resource.k8s.io.v1alpha3.ResourceClaim",
	"resource.k8s.io.v1alpha3.ResourceClaimTemplate", "resource.k8s.io.v1alpha3.ResourceSlice",
	"scheduling.k8s.io.v1alpha1.PriorityClass", "scheduling.k8s.io.v1alpha1.Workload",
	"scheduling.k8s.io.v1alpha2.PodGroup", "scheduling.k8s.io.v1alpha2.Workload",
}

// corpusDir is the testdata of k8s.io/api: every type of every release as
// protobuf, JSON and YAML, the protobuf being exactly what stands in etcd.
func corpusDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/api").Output()
	require.NoError(t, err, "the k8s.io/api module has to be in the module cache")
	return filepath.Join(strings.TrimSpace(string(out)), "testdata")
}

func TestCorpusDecodes(t *testing.T) {
	t.Parallel()
	root := corpusDir(t)
	releases, err := os.ReadDir(root)
	require.NoError(t, err)
	types := 0
	for _, release := range releases {
		if !release.IsDir() {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, release.Name(), "*.pb"))
		require.NoError(t, err)
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".pb")
			if strings.Contains(name, "after_roundtrip") || slices.Contains(neverStored, name) {
				continue
			}
			types++
			t.Run(release.Name()+"/"+name, func(t *testing.T) { checkCorpusType(t, file) })
		}
	}
	require.Greater(t, types, 700, "the corpus holds five releases")
}

func checkCorpusType(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	o := &Object{Raw: raw}
	decode(o)
	base := strings.TrimSuffix(file, ".pb")
	if o.Typed == nil {
		require.Contains(t, gone, filepath.Base(base), "%v", o.Problems)
		require.Equal(t, UnknownKind, o.Problems[0].Code)
		require.NotEmpty(t, o.Name, "metadata is kept")
		require.Equal(t, raw, o.Raw)
		return
	}
	want := base + ".yaml"
	if _, err := os.Stat(base + ".after_roundtrip.yaml"); err == nil {
		want = base + ".after_roundtrip.yaml" // what the newer types make of an older release's data
		for _, p := range o.Problems {
			require.Equal(t, UnknownFields, p.Code)
		}
	} else {
		require.Empty(t, o.Problems)
	}
	data, err := os.ReadFile(want)
	require.NoError(t, err)
	data, err = yaml.YAMLToJSON(data)
	require.NoError(t, err)
	var expected map[string]any
	require.NoError(t, utiljson.Unmarshal(data, &expected))
	got, err := o.Content()
	require.NoError(t, err)
	require.Equal(t, expected, got)
}

func ExampleFormOf() {
	fmt.Println(FormOf([]byte("k8s\x00...")), FormOf([]byte("k8s:enc:secretbox:v1:key1:...")), FormOf([]byte(`{"kind":"Ship"}`)))
	// Output: protobuf encrypted json
}
