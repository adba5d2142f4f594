package registry

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const harbourDir = "../testdata/harbour"

// harbour opens the real backup: its snapshot, with the keys of its archive.
func harbour(t testing.TB, opts Options) *Registry {
	t.Helper()
	return openArchive(t, filepath.Join(harbourDir, "kube-backup.tar.gz"), opts)
}

// openArchive opens the snapshot of an archive, with its keys if it has any.
func openArchive(t testing.TB, name string, opts Options) *Registry {
	t.Helper()
	packed, err := os.Open(name)
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "snapshot")
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		switch path.Clean(h.Name) {
		case "etcd-backup.snapshot":
			require.NoError(t, os.WriteFile(file, data, 0o600))
		case "kubernetes/encryption.yaml":
			if opts.Keyring == nil {
				opts.Keyring, err = ParseEncryptionConfig(data)
				require.NoError(t, err)
			}
		}
	}
	db, err := snapshot.Open(t.Context(), file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return New(db, opts)
}

// harbourTruth is what the API server said of the 618 stored objects: without
// the Events' second face and the ComponentStatuses, which are never stored.
func harbourTruth(t testing.TB) []map[string]any {
	t.Helper()
	packed, err := os.Open(filepath.Join(harbourDir, "truth.json.gz"))
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	var list struct{ Items []map[string]any }
	require.NoError(t, json.NewDecoder(unzipped).Decode(&list))
	return slices.DeleteFunc(list.Items, func(o map[string]any) bool {
		return o["apiVersion"] == "events.k8s.io/v1" || o["kind"] == "ComponentStatus"
	})
}

// id names an object without its version.
func truthID(o map[string]any) string {
	m := o["metadata"].(map[string]any)
	ns, _ := m["namespace"].(string)
	return o["kind"].(string) + " " + ns + "/" + m["name"].(string)
}

func TestHarbourIsReadWhole(t *testing.T) {
	t.Parallel()
	want := map[string]int{}
	for _, o := range harbourTruth(t) {
		want[truthID(o)]++
	}
	require.Len(t, want, 618)
	got := map[string]int{}
	for o, err := range harbour(t, Options{}).Objects(t.Context(), nil) {
		require.NoError(t, err)
		require.Empty(t, o.Problems, o)
		got[o.GVK.Kind+" "+o.Namespace+"/"+o.Name]++
	}
	require.Equal(t, want, got)
}

func TestHarbourWithoutKeysKeepsTheRest(t *testing.T) {
	t.Parallel()
	readable, locked := 0, 0
	for o, err := range harbour(t, Options{Keyring: &Keyring{}}).Objects(t.Context(), nil) {
		require.NoError(t, err)
		if len(o.Problems) == 0 {
			readable++
			continue
		}
		locked++
		require.Equal(t, []Problem{{Locked, `encrypted by secretbox key "key1", and no secretbox key is at hand`}}, o.Problems)
		require.Equal(t, "secrets", o.Key.Plural)
	}
	require.Equal(t, 6, locked)
	require.Equal(t, 612, readable)
}

func TestSelectNamespaceExactly(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	selected, err := r.Select(t.Context(), Selection{Namespaces: []string{"infra-production"}})
	require.NoError(t, err)
	outside := map[string]bool{}
	for _, o := range selected.Objects {
		require.NotEqual(t, "infra-production-2", o.Namespace)
		if o.Namespace == "" {
			outside[o.String()] = true
		}
	}
	require.Equal(t, []string{
		"customresourcedefinitions.apiextensions.k8s.io ships.fleet.example.com",
		"namespaces infra-production",
		"persistentvolumes pv-db-0", "persistentvolumes pv-db-1",
	}, slices.Sorted(maps.Keys(outside)))
}

func TestSelectNarrowed(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	selector, err := labels.Parse("app=db")
	require.NoError(t, err)
	selected, err := r.Select(t.Context(), Selection{Namespaces: []string{"infra-production"}, Words: "pvc,svc", Labels: selector})
	require.NoError(t, err)
	var names []string
	for _, o := range selected.Objects {
		names = append(names, o.String())
	}
	require.Equal(t, []string{
		"namespaces infra-production", "persistentvolumeclaims infra-production/data-db-0",
		"persistentvolumeclaims infra-production/data-db-1", "persistentvolumes pv-db-0", "persistentvolumes pv-db-1",
	}, names)
}

func TestSelectUnknownNames(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	_, err := r.Select(t.Context(), Selection{Namespaces: []string{"infra-prod"}})
	require.EqualError(t, err, `no namespace "infra-prod" in the backup; nearest are "infra-production", "infra-production-2"`)
	_, err = r.Select(t.Context(), Selection{Namespaces: []string{"infra-staging"}})
	var unknown *NamespaceError
	require.ErrorAs(t, err, &unknown, "it was deleted before the snapshot")
	_, err = r.Select(t.Context(), Selection{All: true, Words: "deploymnet"})
	var noKind *UnknownResourceError
	require.ErrorAs(t, err, &noKind)
}

func TestListByRevision(t *testing.T) {
	t.Parallel()
	r := harbour(t, Options{})
	l, err := r.List(t.Context(), Query{Words: "cm", Names: []string{"flip", "gone"}, Namespace: "infra-production"})
	require.NoError(t, err)
	require.Equal(t, []string{"gone"}, l.NotFound())
	for o := range l.Objects(t.Context()) {
		content, err := o.Content()
		require.NoError(t, err)
		require.Equal(t, map[string]any{"v": "3", "w": "3"}, content["data"])
	}
	require.False(t, l.Newest.IsZero())
}

func TestListCustomResources(t *testing.T) {
	t.Parallel()
	l, err := harbour(t, Options{}).List(t.Context(), Query{Words: "ships"})
	require.NoError(t, err)
	require.Equal(t, 1, l.Len())
	for o := range l.Objects(t.Context()) {
		content, err := o.Content()
		require.NoError(t, err)
		data, err := json.Marshal(content)
		require.NoError(t, err)
		require.Contains(t, string(data), "9007199254740993")
	}
}

func TestVersionIsTakenFromMirrorPodsBeforeKubelets(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.31.4"}}}
	node.Name = "worker"
	old := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "kube-apiserver", Image: "host:5000/kube-apiserver:v1.30.1@sha256:00"}}}}
	old.Name = "kube-apiserver-master-0"
	recent := old.DeepCopy()
	recent.Name, recent.Spec.Containers[0].Image = "kube-apiserver-master-1", "registry.k8s.io/kube-apiserver:v1.30.2"
	bare := old.DeepCopy()
	bare.Spec.Containers[0].Image = "localhost:5000/kube-apiserver"

	var t1 tally
	t1.open(&Object{Typed: node})
	t1.open(&Object{Typed: bare})
	require.Equal(t, KubernetesVersion{Version: "v1.31.4", From: "kubelet of Node worker", Guess: true}, t1.version())
	t1.open(&Object{Typed: recent})
	t1.open(&Object{Typed: old})
	require.Equal(t, KubernetesVersion{Version: "v1.30.2", From: "image of Pod kube-system/kube-apiserver-master-1"}, t1.version())
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	s, err := harbour(t, Options{}).Survey(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 618, s.Objects)
	require.EqualValues(t, 3, s.Other)
	require.Equal(t, []LockCount{{Lock: Lock{Provider: "secretbox", Version: "v1", Name: "key1"}, Objects: 6}}, s.Locks)
	require.Equal(t, KubernetesVersion{}, s.Version, "kwok's kubelets have no version, and no API server ran as a Pod")
	total := int64(0)
	for _, n := range s.Namespaces {
		total += n.Objects
	}
	require.EqualValues(t, 618, total)
}
