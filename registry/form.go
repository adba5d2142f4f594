package registry

import "bytes"

// Form is how a value is stored in etcd. It is told by the value's first
// bytes alone and never by searching: an encrypted or opaque value may hold
// any magic further in.
type Form string

// The forms that kube-apiserver writes (k8s.io/apimachinery
// pkg/runtime/serializer/{protobuf,cbor,json}, k8s.io/apiserver
// pkg/storage/value).
const (
	Protobuf  Form = "protobuf"  // 6b 38 73 00, then runtime.Unknown
	JSON      Form = "json"      // custom resources, CRDs, APIServices
	CBOR      Form = "cbor"      // d9 d9 f7: custom resources under CBORServingAndStorage
	Encrypted Form = "encrypted" // k8s:enc:<provider>:
	Opaque    Form = "opaque"    // none of these
)

var (
	protobufMagic  = []byte("k8s\x00")
	cborMagic      = []byte{0xd9, 0xd9, 0xf7}
	encryptedMagic = []byte("k8s:enc:")
)

// FormOf tells the form of a stored value.
func FormOf(value []byte) Form {
	switch {
	case bytes.HasPrefix(value, encryptedMagic):
		return Encrypted
	case bytes.HasPrefix(value, protobufMagic):
		return Protobuf
	case bytes.HasPrefix(value, cborMagic):
		return CBOR
	case bytes.HasPrefix(value, []byte("{")):
		return JSON
	}
	return Opaque
}
