package apiserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var secrets = schema.GroupResource{Resource: "secrets"}

func newSalt() []byte {
	salt := make([]byte, sha256.Size)
	_, _ = rand.Read(salt) // never fails
	return salt
}

// redact puts digests in the place of a Secret's values: the same value has
// the same digest while the server runs, and none can be guessed and tested.
func (s *Server) redact(obj runtime.Object) {
	switch o := obj.(type) {
	case *corev1.Secret:
		data := make(map[string][]byte, len(o.Data))
		for name, value := range o.Data {
			data[name] = s.digest(value)
		}
		o.Data, o.StringData = data, nil
		s.redactAnnotations(&o.ObjectMeta)
	case *metav1.PartialObjectMetadata:
		s.redactAnnotations(&o.ObjectMeta)
	}
}

// redactAnnotations drops what kubectl apply keeps: the whole Secret.
func (s *Server) redactAnnotations(meta *metav1.ObjectMeta) {
	const applied = corev1.LastAppliedConfigAnnotation
	if _, ok := meta.Annotations[applied]; !ok {
		return
	}
	annotations := make(map[string]string, len(meta.Annotations))
	for name, value := range meta.Annotations {
		if name == applied {
			value = string(s.digest([]byte(value)))
		}
		annotations[name] = value
	}
	meta.Annotations = annotations
}

func (s *Server) digest(value []byte) []byte {
	mac := hmac.New(sha256.New, s.salt)
	mac.Write(value)
	return []byte("redacted:" + hex.EncodeToString(mac.Sum(nil)[:8]))
}
