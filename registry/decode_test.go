package registry

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What a value is stands in its first bytes: an opaque value, or a Secret's, may
// hold anything further in.
func TestFormIsToldByTheFirstBytes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Form{
		"k8s\x00 k8s:enc:aescbc:v1:k:": Protobuf, `{"note":"k8s:enc:aescbc:v1:k:"}`: JSON, "\xd9\xd9\xf7k8s:enc:": CBOR,
		"x k8s:enc:aescbc:v1:k:": Opaque, "k8s:enc:aescbc:v1:k:{": Encrypted, " {}": Opaque, "": Opaque,
	} {
		require.Equal(t, want, FormOf([]byte(value)), "%q", value)
	}
}

// A value that is not what its form says is no object.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	plain, err := (&corev1.ConfigMap{}).Marshal()
	require.NoError(t, err)
	envelope := func(unknown runtime.Unknown) string {
		data, err := unknown.Marshal()
		require.NoError(t, err)
		return "k8s\x00" + string(data)
	}
	for name, value := range map[string]string{
		"a compressed envelope":        envelope(runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ContentEncoding: "gzip", Raw: plain}),
		"an envelope without version":  envelope(runtime.Unknown{TypeMeta: runtime.TypeMeta{Kind: "ConfigMap"}, Raw: plain}),
		"an envelope without kind":     envelope(runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1"}, Raw: plain}),
		"JSON without metadata":        `{"apiVersion":"v1","kind":"ConfigMap","data":{}}`,
		"JSON without apiVersion":      `{"kind":"ConfigMap","metadata":{"name":"c","namespace":"n"}}`,
		"metadata that is not a map":   `{"apiVersion":"v1","kind":"ConfigMap","metadata":"c"}`,
		"JSON that ends in the middle": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"`,
	} {
		o := decodedValue(t, "/registry/configmaps/n/c", []byte(value))
		require.Len(t, o.Problems, 1, name)
		require.Equal(t, Undecodable, o.Problems[0].Code, name)
		require.False(t, o.Readable(), name)
	}
}

// An object that was written under another one's key is told: created, it would
// stand where it never stood.
func TestObjectUnderAnotherKey(t *testing.T) {
	t.Parallel()
	secret := &corev1.Secret{}
	secret.Name, secret.Namespace = "pw", "shop"
	value := protobufValue(t, schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, secret)
	ship := []byte(`{"apiVersion":"fleet.example.com/v1","kind":"Ship","metadata":{"name":"aurora","namespace":"shop"}}`)
	for path, c := range map[string]struct {
		value []byte
		want  string // "" for none
	}{
		"/registry/secrets/shop/pw":                          {value, ""},
		"/registry/secrets/shop/other":                       {value, `the object's name is "pw", its key's "other"`},
		"/registry/secrets/bank/pw":                          {value, `the object's namespace is "shop", its key's "bank"`},
		"/registry/configmaps/shop/pw":                       {value, `the object's resource is "secrets", its key's "configmaps"`},
		"/registry/fleet.example.com/ships/shop/aurora":      {ship, ""},
		"/registry/fleet.example.org/ships/shop/aurora":      {ship, `the object's group is "fleet.example.com", its key's "fleet.example.org"`},
		"/registry/fleet.example.com/ships/shop/borealis":    {ship, `the object's name is "aurora", its key's "borealis"`},
		"/registry/fleet.example.com/ships/harbour/aurora":   {ship, `the object's namespace is "shop", its key's "harbour"`},
		"/registry/fleet.example.com/ships/aurora":           {ship, `the object's namespace is "shop", its key's ""`},
		"/registry/fleet.example.com/submarines/shop/aurora": {ship, ""}, // only a definition tells the kind of a plural
	} {
		o := decodedValue(t, path, c.value)
		if c.want == "" {
			require.Empty(t, o.Problems, path)
			continue
		}
		require.Equal(t, []Problem{{Mismatch, c.want}}, o.Problems, path)
	}
}

// A field that decoding loses is told, were it one alone: unknown, of another value,
// or one item of a list.
func TestLostFields(t *testing.T) {
	t.Parallel()
	number := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	text := func(n protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), v)
	}
	whole := slices.Concat(number(1, 5), text(2, text(7, []byte("x"))), text(3, []byte("a")), text(3, []byte("b")))
	for name, c := range map[string]struct {
		stored, again []byte
		want          []string
	}{
		"nothing":              {whole, whole, []string{}},
		"more than was stored": {whole, slices.Concat(whole, number(9, 1)), []string{}},
		"a zero":               {slices.Concat(whole, number(9, 0), text(10, nil)), whole, []string{}},
		"a number":             {slices.Concat(whole, number(9, 1)), whole, []string{"9"}},
		"another number":       {number(1, 1<<40+5), number(1, 5), []string{"1"}},
		"a field within":       {whole, slices.Concat(number(1, 5), text(2, nil), text(3, []byte("a")), text(3, []byte("b"))), []string{"2.7"}},
		"one of two":           {whole, slices.Concat(number(1, 5), text(2, text(7, []byte("x"))), text(3, []byte("a"))), []string{"3"}},
	} {
		require.Equal(t, c.want, lostFields(c.stored, c.again), name)
	}
	secret := &corev1.Secret{}
	secret.Name, secret.Namespace = "pw", "shop"
	raw, err := secret.Marshal()
	require.NoError(t, err)
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Raw: append(raw, number(99, 1)...)}
	value, err := unknown.Marshal()
	require.NoError(t, err)
	o := decodedValue(t, "/registry/secrets/shop/pw", append([]byte("k8s\x00"), value...))
	require.Equal(t, []Problem{{UnknownFields, "/v1, Kind=Secret: the linked Kubernetes API does not know protobuf fields 99"}}, o.Problems)
}
