package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What is wanted of a Pod is what decoding all of it gives, and the rest is not
// there.
func TestGlance(t *testing.T) {
	t.Parallel()
	reg := harbour(t, Options{})
	fields := Fields{2: {10: nil, 22: nil}, 3: {1: nil}}
	n := 0
	for entry, err := range reg.Entries(t.Context(), func(k Key) bool { return k.Resource() == "pods" }) {
		require.NoError(t, err)
		whole := reg.Decode(t.Context(), entry).Typed.(*corev1.Pod)
		o := reg.Glance(t.Context(), entry, fields)
		require.Empty(t, o.Problems)
		require.Equal(t, &corev1.Pod{
			Spec:   corev1.PodSpec{NodeName: whole.Spec.NodeName, Tolerations: whole.Spec.Tolerations},
			Status: corev1.PodStatus{Phase: whole.Status.Phase},
		}, o.Typed)
		require.Equal(t, whole.Name, o.Name)
		if whole.Spec.NodeName != "" && len(whole.Spec.Tolerations) > 0 {
			n++
		}
	}
	require.Greater(t, n, 10)
}

// What is no protobuf, or cannot be read, is what decoding it whole gives.
func TestGlanceAtWhatCannotBeCut(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n"}, Spec: corev1.PodSpec{NodeName: "w"}}
	value := protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, pod)
	key, err := ParseKey(DefaultPrefix, "/registry/pods/n/p")
	require.NoError(t, err)
	reg := New(nil, Options{})
	for name, stored := range map[string][]byte{
		"cut short": value[:len(value)-3], "JSON": []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"}}`),
		"locked": []byte("k8s:enc:aescbc:v1:k:xyz"), "nothing": nil,
	} {
		entry := Entry{Key: key}
		entry.KV.Value = stored
		require.Equal(t, reg.Decode(t.Context(), entry), reg.Glance(t.Context(), entry, Fields{2: {10: nil}}), name)
	}
}
