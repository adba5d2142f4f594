package printer

import (
	"encoding/json"
	"errors"
	"fmt"

	apiextensionsinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiregistrationinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	// The groups that kube-apiserver serves; pkg/controlplane imports the same.
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apiserverinternal/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/extensions/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/lifecycle/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	_ "k8s.io/kubernetes/pkg/apis/storagemigration/install"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// errNoContent is what an object without a decoded form gives; the object's
// own Problem says why it has none.
var errNoContent = errors.New("the stored value is not decoded")

// codec is the scheme of one API server with its decoders.
type codec struct {
	scheme  *runtime.Scheme
	decoder runtime.Decoder // applies defaults, gives internal types
}

// newExtensionScheme holds what the two API servers beside the main one serve:
// apiextensions.k8s.io and apiregistration.k8s.io.
func newExtensionScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	apiextensionsinstall.Install(scheme)
	apiregistrationinstall.Install(scheme)
	return scheme
}

// newCodecs are the API servers' codecs, the main one first.
func newCodecs() []codec {
	extensions := newExtensionScheme()
	return []codec{
		{legacyscheme.Scheme, legacyscheme.Codecs.UniversalDecoder()},
		{extensions, serializer.NewCodecFactory(extensions).UniversalDecoder()},
	}
}

// decode reads the stored value as its API server does: decoded, defaulted,
// converted to the internal type, touched up as on a read. The result belongs
// to the caller.
func decode(codecs []codec, o *registry.Object) (runtime.Object, codec, error) {
	data := o.Raw
	if o.Form != registry.Protobuf {
		content, err := o.Content()
		if err != nil {
			return nil, codec{}, err
		}
		if content == nil {
			return nil, codec{}, errNoContent
		}
		if data, err = json.Marshal(content); err != nil {
			return nil, codec{}, err
		}
	}
	for _, c := range codecs {
		if !c.scheme.Recognizes(o.GVK) {
			continue
		}
		internal, _, err := c.decoder.Decode(data, &o.GVK, nil)
		if err != nil {
			return nil, codec{}, fmt.Errorf("decoding %s: %w", o.GVK.Kind, err)
		}
		touchUp(internal)
		return internal, c, nil
	}
	return nil, codec{}, fmt.Errorf("decoding %s: the API of Kubernetes 1.37 does not know it", o.GVK)
}
