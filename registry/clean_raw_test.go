package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What cannot be read is kept as raw bytes where that is asked for, and is
// missing where manifests are.
func TestRawProfileKeepsUnreadableBytes(t *testing.T) {
	t.Parallel()
	policy := &corev1.Secret{} // any type with metadata: the kind is what is unknown
	policy.Name = "restricted"
	gone := protobufValue(t, schema.GroupVersionKind{Group: "policy", Version: "v1beta1", Kind: "PodSecurityPolicy"}, policy)
	entries := map[string][]byte{
		"/registry/podsecuritypolicy/restricted": gone,
		"/registry/secrets/infra/locked":         []byte("k8s:enc:secretbox:v1:key1:sealed"),
		"/registry/configmaps/infra/broken":      []byte("k8s\x00not protobuf at all"),
	}
	var objects []*Object
	for path, value := range entries {
		key, err := ParseKey(DefaultPrefix, path)
		require.NoError(t, err)
		entry := Entry{Key: key}
		entry.KV.Value = value
		objects = append(objects, New(nil, Options{}).Decode(t.Context(), entry))
	}
	plan, err := Clean(objects, CleanOptions{Profile: Raw})
	require.NoError(t, err)
	require.Empty(t, plan.LeftOut)
	require.False(t, plan.Complete(), "exit 3: they are not what was asked for")
	target := filepath.Join(t.TempDir(), "raw")
	_, err = WriteDir(t.Context(), target, plan)
	require.NoError(t, err)
	for _, m := range plan.Manifests {
		data, err := os.ReadFile(filepath.Join(target, m.File))
		require.NoError(t, err)
		require.Equal(t, entries[m.Object.Key.Path], data)
		require.Equal(t, ".raw", filepath.Ext(m.File))
	}
	var stream strings.Builder
	require.NoError(t, WriteStream(&stream, plan))
	require.Empty(t, stream.String(), "a stream takes no raw bytes")
	plan, err = Clean(objects, CleanOptions{})
	require.NoError(t, err)
	require.Len(t, plan.Missing(), 3)
	require.Empty(t, plan.Manifests)
}
