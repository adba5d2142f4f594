package printer_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// harbourNow is the newest renewal of a Lease in the fixture: when its backup
// was made.
func harbourNow(t testing.TB) time.Time {
	var newest time.Time
	for _, o := range harbourObjects(t, func(k registry.Key) bool { return k.Plural == "leases" }) {
		lease := o.Typed.(*coordinationv1.Lease)
		if renewed := lease.Spec.RenewTime; renewed != nil && renewed.After(newest) {
			newest = renewed.Time
		}
	}
	require.False(t, newest.IsZero())
	return newest
}

func checkGolden(t *testing.T, name string, got []byte) {
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// render sets the objects of all resources, in the order of discovery, as
// `kubectl get` of all these resources does.
func render(t *testing.T, opts printer.Options, want func(registry.Key) bool) []byte {
	objects := harbourObjects(t, nil)
	resources := resourcesOf(t, objects)
	p := printer.New(resources, harbourNow(t))
	var out bytes.Buffer
	w := printer.NewWriter(&out, opts)
	for _, r := range resources.All() {
		for _, o := range objects {
			if o.Key.GroupResource() == r.GroupResource() && want(o.Key) {
				require.NoError(t, w.Write(p.Row(o)))
			}
		}
	}
	require.NoError(t, w.Flush())
	return out.Bytes()
}

func TestTablesOfOneNamespace(t *testing.T) {
	t.Parallel()
	got := render(t, printer.Options{Kind: true}, func(k registry.Key) bool { return k.Namespace == "infra-production" && k.Plural != "events" })
	checkGolden(t, "infra-production.golden", got)
}

// At most three objects of every kind in the fixture, with all columns.
func TestTablesOfEveryKind(t *testing.T) {
	t.Parallel()
	shown := map[string]int{}
	got := render(t, printer.Options{Wide: true, Namespace: true}, func(k registry.Key) bool {
		shown[k.Resource()]++
		return shown[k.Resource()] <= 3
	})
	require.Len(t, shown, 67)
	checkGolden(t, "every-kind-wide.golden", got)
}
