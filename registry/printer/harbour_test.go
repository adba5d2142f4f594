package printer_test

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/printer"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const harbour = "../../testdata/harbour"

// harbourBackup is the fixture's snapshot with the keys that lie beside it.
func harbourBackup(t testing.TB) *registry.Registry {
	f, err := os.Open(filepath.Join(harbour, "kube-backup.tar.gz"))
	require.NoError(t, err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	require.NoError(t, err)

	var keyring *registry.Keyring
	db := filepath.Join(t.TempDir(), "db")
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch filepath.Clean(header.Name) {
		case "etcd-backup.snapshot":
			data, err := io.ReadAll(tr)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(db, data, 0o600))
		case "kubernetes/encryption.yaml":
			data, err := io.ReadAll(tr)
			require.NoError(t, err)
			keyring, err = registry.ParseEncryptionConfig(data)
			require.NoError(t, err)
		}
	}
	reader, err := snapshot.Open(t.Context(), db)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	return registry.New(reader, registry.Options{Keyring: keyring})
}

// harbourObjects are all objects of the fixture, by namespace and name.
func harbourObjects(t testing.TB, want func(registry.Key) bool) []*registry.Object {
	var objects []*registry.Object
	for o, err := range harbourBackup(t).Objects(t.Context(), want) {
		require.NoError(t, err)
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b *registry.Object) int { return strings.Compare(a.Key.Path, b.Key.Path) })
	return objects
}

func resourcesOf(t testing.TB, objects []*registry.Object) *registry.Resources {
	var customs []registry.CustomResource
	for _, o := range objects {
		if registry.IsDefinition(o.Key) {
			c, err := registry.ParseDefinition(o)
			require.NoError(t, err)
			customs = append(customs, c)
		}
	}
	return registry.NewResources(customs)
}

// harbourTruth is what kube-apiserver answered for every object, by
// apiVersion, kind, namespace and name.
func harbourTruth(t testing.TB) map[string]map[string]any {
	f, err := os.Open(filepath.Join(harbour, "truth.json.gz"))
	require.NoError(t, err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(zr)
	require.NoError(t, err)
	var list struct {
		Items []map[string]any `json:"items"`
	}
	require.NoError(t, utiljson.Unmarshal(data, &list))
	truth := map[string]map[string]any{}
	for _, item := range list.Items {
		truth[identity(item)] = item
	}
	return truth
}

func identity(content map[string]any) string {
	metadata, _ := content["metadata"].(map[string]any)
	return fmt.Sprint(content["apiVersion"], " ", content["kind"], " ", metadata["namespace"], "/", metadata["name"])
}

// Every stored object, brought to the preferred version, is what kube-apiserver
// 1.37.1 answered for it just before the backup. No kind is left out.
func TestPreferredIsTheAnswerOfTheAPIServer(t *testing.T) {
	t.Parallel()
	truth := harbourTruth(t)
	objects := harbourObjects(t, nil)
	require.Len(t, objects, 618)
	converter := printer.NewConverter(resourcesOf(t, objects))
	for _, o := range objects {
		converter.Preferred(o)
		require.Empty(t, o.Problems, o.String())
		content, err := o.Content()
		require.NoError(t, err)
		metadata := content["metadata"].(map[string]any)
		metadata["resourceVersion"] = strconv.FormatInt(o.KV.ModRevision, 10)
		delete(metadata, "managedFields") // kubectl hides them

		id := identity(content)
		require.Contains(t, truth, id)
		require.Equal(t, truth[id], content, id)
		require.Equal(t, content["kind"], o.GVK.Kind)
		require.Equal(t, content["apiVersion"], o.GVK.GroupVersion().String())
		delete(truth, id)
	}
	for id := range truth { // never stored, or a second view of the same Event
		require.Regexp(t, `^(v1 ComponentStatus|events\.k8s\.io/v1 Event) `, id)
	}
}
