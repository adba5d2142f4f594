package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func decodedValue(t *testing.T, path string, value []byte) *Object {
	t.Helper()
	key, err := ParseKey(DefaultPrefix, path)
	require.NoError(t, err)
	entry := Entry{Key: key}
	entry.KV.Value = value
	return New(nil, Options{}).Decode(t.Context(), entry)
}

// A custom resource is JSON, whose decoder says nothing of bytes that are no
// text and of halves of escaped pairs.
func TestJSONThatIsNotUTF8IsAProblem(t *testing.T) {
	t.Parallel()
	const head, tail = `{"apiVersion":"x.example.com/v1","kind":"Ship","metadata":{"name":"s","namespace":"n"},"spec":`, `}`
	for name, c := range map[string]struct {
		spec string
		want string
	}{
		"a byte of Latin-1":       {"{\"name\":\"caf\xe9\"}", "spec.name"},
		"half a pair":             {`{"list":["a","\ud83d"]}`, "spec.list[1]"},
		"the other half":          {`{"name":"\ude00x"}`, "spec.name"},
		"two first halves":        {`{"name":"\ud83d\ud83d\ude00"}`, "spec.name"},
		"a key":                   {"{\"caf\xe9\":1}", `spec["caf` + "\ufffd" + `"]`},
		"a pair":                  {`{"name":"\ud83d\ude00"}`, ""},
		"an escaped backslash":    {`{"name":"\\ud83d"}`, ""},
		"a replacement character": {"{\"name\":\"\ufffd\"}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := decodedValue(t, "/registry/x.example.com/ships/n/s", []byte(head+c.spec+tail))
			if c.want == "" {
				require.Empty(t, o.Problems)
				return
			}
			require.Len(t, o.Problems, 1)
			require.Equal(t, InvalidText, o.Problems[0].Code)
			require.Contains(t, o.Problems[0].Detail, c.want+": ")
		})
	}
}

// Every string of a typed object is looked at, keys of maps and values inside
// other formats as well.
func TestProtobufThatIsNotUTF8IsAProblem(t *testing.T) {
	t.Parallel()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "s", Namespace: "n", Labels: map[string]string{"caf\xe9": "x"}, Finalizers: []string{"ok", "b\xff"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1("{\"f:\xff\":{}}")}},
		},
		Data: map[string][]byte{"binary": {0xff, 0xfe}}, // bytes may be anything
	}
	o := decodedValue(t, "/registry/secrets/n/s", protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, secret))
	require.Len(t, o.Problems, 1)
	require.Contains(t, o.Problems[0].Detail, `metadata.finalizers[1], metadata.labels["caf\xe9"], metadata.managedFields[0].fieldsV1: `)
}
