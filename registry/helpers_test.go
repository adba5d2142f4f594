package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// protobufValue is obj as kube-apiserver stores it.
func protobufValue(t testing.TB, gvk schema.GroupVersionKind, obj protoObject) []byte {
	t.Helper()
	raw, err := obj.Marshal()
	require.NoError(t, err)
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	data, err := unknown.Marshal()
	require.NoError(t, err)
	return append([]byte("k8s\x00"), data...)
}
