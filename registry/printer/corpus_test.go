package printer_test

import (
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// corpusObject is one file of the testdata of k8s.io/api.
type corpusObject struct {
	file     string
	raw      []byte
	resource registry.Resource
}

// corpus is every built-in kind that is stored, in every version, with all
// fields filled, as k8s.io/api's own compatibility test has it: of this release
// and of the four before.
func corpus(t testing.TB) []corpusObject {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/api").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "testdata/*/*.pb"))
	require.NoError(t, err)
	var objects []corpusObject
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var unknown runtime.Unknown
		require.NoError(t, unknown.Unmarshal(raw[4:]))
		if r, ok := registry.LookupKind(unknown.GroupVersionKind().GroupKind()); ok {
			objects = append(objects, corpusObject{file, raw, r})
		}
	}
	return objects
}

func (c corpusObject) decode(t testing.TB) *registry.Object {
	path := registry.DefaultPrefix + "/" + c.resource.Prefix + "/"
	if c.resource.Namespaced {
		path += "namespaceValue/"
	}
	path += "nameValue"
	key, err := registry.ParseKey(registry.DefaultPrefix, path)
	require.NoError(t, err)
	entry := registry.Entry{Key: key, KV: snapshot.KeyValue{Key: []byte(path), Value: c.raw}}
	return registry.New(nil, registry.Options{}).Decode(t.Context(), entry)
}

// Objects of versions that are gone keep their name in the columns of their
// kind; all others convert to the preferred version and show.
func TestCorpusIsConvertedAndShown(t *testing.T) {
	t.Parallel()
	resources := registry.NewResources(nil)
	converter, p := printer.NewConverter(resources), printer.New(resources, time.Now())
	shown, dropped := 0, map[string]bool{}
	for _, c := range corpus(t) {
		o := c.decode(t)
		row := p.Row(o)
		require.Len(t, row.Cells, len(row.Columns), c.file)
		text := strings.Join(row.Cells, " ")
		if o.Typed == nil {
			require.Contains(t, text, "<unknown-kind>", c.file)
			dropped[o.GVK.String()] = true
			continue
		}
		require.NotContains(t, text, "<undecodable>", c.file)
		require.NotContains(t, text, "<invalid> <invalid>", c.file) // ages of times to come are <invalid>
		shown++

		before := len(o.Problems)
		converter.Preferred(o)
		require.Len(t, o.Problems, before, "%s: %v", c.file, o.Problems)
		require.Equal(t, c.resource.Version, o.GVK.Version, c.file)
		content, err := o.Content()
		require.NoError(t, err)
		require.Equal(t, c.resource.Kind, content["kind"], c.file)
		today, err := scheme.Scheme.New(o.GVK)
		if err != nil {
			continue // of the two API servers beside the main one
		}
		data, err := json.Marshal(content)
		require.NoError(t, err)
		unknown, err := kjson.UnmarshalStrict(data, today)
		require.NoError(t, err, c.file)
		require.Empty(t, unknown, c.file)
	}
	require.Greater(t, shown, 600)
	require.ElementsMatch(t, gone(), slices.Collect(maps.Keys(dropped)))
}

// gone are the versions of the last four releases that k8s.io/api 0.37 has
// dropped; kube-apiserver 1.37 cannot read them either.
func gone() []string {
	return []string{
		"autoscaling/v2beta1, Kind=HorizontalPodAutoscaler",
		"autoscaling/v2beta2, Kind=HorizontalPodAutoscaler",
		"certificates.k8s.io/v1alpha1, Kind=PodCertificateRequest",
		"networking.k8s.io/v1alpha1, Kind=IPAddress",
		"networking.k8s.io/v1alpha1, Kind=ServiceCIDR",
		"resource.k8s.io/v1alpha3, Kind=DeviceClass",
		"resource.k8s.io/v1alpha3, Kind=ResourceClaim",
		"resource.k8s.io/v1alpha3, Kind=ResourceClaimTemplate",
		"resource.k8s.io/v1alpha3, Kind=ResourceSlice",
		"scheduling.k8s.io/v1alpha1, Kind=PriorityClass",
		"scheduling.k8s.io/v1alpha1, Kind=Workload",
		"scheduling.k8s.io/v1alpha2, Kind=PodGroup",
		"scheduling.k8s.io/v1alpha2, Kind=Workload",
	}
}

// FuzzRow's promise, kept in every test run: bits flipped and ends cut off in
// values of all kinds.
func TestDamagedValuesHaveARow(t *testing.T) {
	t.Parallel()
	resources := registry.NewResources(nil)
	converter, p := printer.NewConverter(resources), printer.New(resources, time.Unix(1_800_000_000, 0))
	rounds := 2
	if factor, err := strconv.Atoi(os.Getenv("LIFEBOAT_SOAK")); err == nil && factor > 0 {
		rounds *= factor
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		for _, c := range corpus(t) {
			raw := slices.Clone(c.raw)
			for range 1 + random.IntN(8) {
				raw[4+random.IntN(len(raw)-4)] ^= 1 << random.IntN(8)
			}
			if random.IntN(4) == 0 {
				raw = raw[:4+random.IntN(len(raw)-4)]
			}
			o := corpusObject{c.file, raw, c.resource}.decode(t)
			row := p.Row(o)
			require.Len(t, row.Cells, len(row.Columns), c.file)
			require.NotEmpty(t, row.Cells, c.file)
			converter.Preferred(o)
			require.True(t, len(o.Problems) > 0 || o.GVK.Version != "", c.file)
		}
	}
}

// Whatever a damaged value decodes to, there is a row with a cell for every
// column, and no panic.
func FuzzRow(f *testing.F) {
	resources := harbourLikeResources()
	converter, p := printer.NewConverter(resources), printer.New(resources, time.Unix(1_800_000_000, 0))
	seeds := corpus(f)
	for i := 0; i < len(seeds); i += 40 {
		f.Add(seeds[i].raw, seeds[i].resource.Prefix)
	}
	f.Add([]byte(shipJSON), "fleet.example.com/ships")
	f.Add([]byte(`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{},"spec":{"metrics":[{"type":"Object"}]}}`), "horizontalpodautoscalers")
	f.Add([]byte(`{"apiVersion":"apiextensions.k8s.io/v1beta1","kind":"CustomResourceDefinition","metadata":{}}`), "apiextensions.k8s.io/customresourcedefinitions")
	f.Fuzz(func(t *testing.T, raw []byte, prefix string) {
		path := registry.DefaultPrefix + "/" + prefix + "/name"
		key, err := registry.ParseKey(registry.DefaultPrefix, path)
		if err != nil {
			return
		}
		o := registry.New(nil, registry.Options{}).Decode(t.Context(), registry.Entry{Key: key, KV: snapshot.KeyValue{Value: raw}})
		for range 2 { // as stored, then as preferred
			row := p.Row(o)
			require.Len(t, row.Cells, len(row.Columns))
			require.NotEmpty(t, row.Cells)
			require.NoError(t, printer.NewWriter(io.Discard, printer.Options{Kind: true}).Write(row))
			converter.Preferred(o)
		}
	})
}
