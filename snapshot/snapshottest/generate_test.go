package snapshottest_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// TestGenerateWhatASummarySays: the database opens, is sound, and holds what
// the summary says, in objects that Kubernetes decodes.
func TestGenerateWhatASummarySays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	summary, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 2000, Trailer: true})
	require.NoError(t, err)

	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	defer db.Close()
	problems, err := db.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)

	info, err := db.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2000, info.LiveKeys)
	require.EqualValues(t, summary.Records, info.Records)
	require.EqualValues(t, summary.Tombstones, info.Tombstones)
	require.Equal(t, summary.Revision, info.Revision)
	require.Positive(t, info.Tombstones)
	require.Greater(t, info.Records, info.LiveKeys+2*info.Tombstones, "no object was ever changed")
	average := info.SizeInUse / info.Records
	require.True(t, 1400 < average && average < 2600, "%d bytes a record", average)

	kinds := map[string]int{}
	for kv, err := range db.At(t.Context(), 0, nil) {
		require.NoError(t, err)
		obj, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(kv.Value, nil, nil)
		require.NoError(t, err, "%s", kv.Key)
		kinds[gvk.Kind]++
		require.Equal(t, strings.HasPrefix(string(kv.Key), "/registry/events/"), kv.Lease != 0)
		requireNamedAsKey(t, obj, string(kv.Key))
	}
	require.Len(t, kinds, 7)
	require.Equal(t, len(summary.Namespaces), kinds["Namespace"])
}

func requireNamedAsKey(t *testing.T, obj runtime.Object, key string) {
	t.Helper()
	named, ok := obj.(interface {
		GetNamespace() string
		GetName() string
	})
	require.True(t, ok)
	require.True(t, strings.HasSuffix(key, "/"+named.GetName()), key)
	if ns := named.GetNamespace(); ns != "" {
		require.Contains(t, key, "/"+ns+"/")
	}
}

// TestGenerateIsDeterministic: one spec gives one file, another seed another.
func TestGenerateIsDeterministic(t *testing.T) {
	t.Parallel()
	sum := func(spec snapshottest.Spec) [32]byte {
		path := filepath.Join(t.TempDir(), "db")
		_, err := snapshottest.Generate(path, spec)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return sha256.Sum256(data)
	}
	spec := snapshottest.Spec{Keys: 700, Seed: 1}
	require.Equal(t, sum(spec), sum(spec))
	require.NotEqual(t, sum(spec), sum(snapshottest.Spec{Keys: 700, Seed: 2}))
}

// TestGenerateRefusesAnExistingFile: it is no way to overwrite a database.
func TestGenerateRefusesAnExistingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := snapshottest.Generate(path, snapshottest.Spec{})
	require.ErrorIs(t, err, os.ErrExist)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(data))
}
