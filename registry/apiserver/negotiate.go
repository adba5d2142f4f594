package apiserver

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// format is how an answer is written and what it is turned into.
type format struct {
	serializer runtime.SerializerInfo
	mediaType  string
	convert    *schema.GroupVersionKind // Table, PartialObjectMetadata or its list; nil is the object itself
}

func (f format) isTable() bool { return f.convert != nil && f.convert.Kind == "Table" }
func (f format) isMetadata() bool {
	return f.convert != nil && (f.convert.Kind == "PartialObjectMetadata" || f.convert.Kind == "PartialObjectMetadataList")
}
func (f format) isProtobuf() bool { return f.mediaType == runtime.ContentTypeProtobuf }
func (f format) isYAML() bool     { return f.mediaType == runtime.ContentTypeYAML }

// serializers are those of a kube-apiserver. Custom resources have no protobuf
// form but for their metadata.
type serializers struct {
	runtime.NegotiatedSerializer
	custom bool
}

func (s serializers) SupportedMediaTypes() []runtime.SerializerInfo {
	var infos []runtime.SerializerInfo
	for _, info := range clientscheme.Codecs.SupportedMediaTypes() {
		switch info.MediaType {
		case runtime.ContentTypeJSON, runtime.ContentTypeYAML:
		case runtime.ContentTypeProtobuf:
			if s.custom {
				continue
			}
		default:
			continue
		}
		infos = append(infos, info)
	}
	return infos
}

// transforms say what an object or a list can be turned into, as the API
// server's RequestScope does.
type transforms struct{}

func (transforms) AllowsMediaTypeTransform(mimeType, mimeSubType string, gvk *schema.GroupVersionKind) bool {
	if gvk == nil {
		return true
	}
	if gvk.GroupVersion() != metav1.SchemeGroupVersion && gvk.GroupVersion() != (schema.GroupVersion{Group: metav1.GroupName, Version: "v1beta1"}) {
		return false
	}
	switch gvk.Kind {
	case "Table":
		return mimeType == "application" && (mimeSubType == "json" || mimeSubType == "yaml")
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		return true
	}
	return false
}
func (transforms) AllowsServerVersion(string) bool       { return false }
func (transforms) AllowsStreamSchema(schema string) bool { return schema == "watch" }

// negotiate reads the Accept header with the API server's own code.
func negotiate(r *http.Request, custom bool) (format, error) {
	mediaType, info, err := negotiation.NegotiateOutputMediaType(r, serializers{clientscheme.Codecs, false}, transforms{})
	if err != nil {
		return format{}, err
	}
	if custom && mediaType.Convert == nil && info.MediaType == runtime.ContentTypeProtobuf {
		// The next of the client's choices that a custom resource can be written in.
		if mediaType, info, err = negotiation.NegotiateOutputMediaType(r, serializers{clientscheme.Codecs, true}, transforms{}); err != nil {
			return format{}, err
		}
	}
	return format{serializer: info, mediaType: info.MediaType, convert: mediaType.Convert}, nil
}

// negotiatePlain is negotiate for what is not turned into anything else: errors
// and discovery.
func negotiatePlain(r *http.Request) (format, error) {
	_, info, err := negotiation.NegotiateOutputMediaType(r, serializers{clientscheme.Codecs, false}, negotiation.DefaultEndpointRestrictions)
	return format{serializer: info, mediaType: info.MediaType}, err
}

// checkAccept is what stands before an API server's own resources, go-restful
// (route.go, matchesAccept): a request that accepts nothing of what a route
// produces is refused before anything else of it is looked at.
func checkAccept(r *http.Request, isList bool) error {
	produced := []string{runtime.ContentTypeJSON, runtime.ContentTypeYAML, runtime.ContentTypeProtobuf}
	if isList {
		produced = append(produced, runtime.ContentTypeJSON+";stream=watch", runtime.ContentTypeProtobuf+";stream=watch")
	}
	accept := cmp.Or(r.Header.Get("Accept"), "*/*")
	for accepted := range strings.SplitSeq(accept, ",") {
		mediaType, _, _ := strings.Cut(accepted, ";")
		if mediaType = strings.TrimSpace(mediaType); mediaType == "*/*" || slices.Contains(produced, mediaType) {
			return nil
		}
	}
	err := failure(http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable, "406: Not Acceptable\n\nAvailable representations: %s", strings.Join(produced, ", "))
	err.ErrStatus.Details = &metav1.StatusDetails{}
	return err
}

// discoveryFormat is the aggregated form of discovery that a client takes.
type discoveryFormat struct{ version string }

func (d *discoveryFormat) AllowsMediaTypeTransform(_, subType string, gvk *schema.GroupVersionKind) bool {
	if gvk == nil {
		return true
	}
	return subType == "json" && gvk.Group == "apidiscovery.k8s.io" && gvk.Kind == "APIGroupDiscoveryList" && (gvk.Version == "v2" || gvk.Version == "v2beta1")
}
func (d *discoveryFormat) AllowsServerVersion(string) bool { return false }
func (d *discoveryFormat) AllowsStreamSchema(string) bool  { return false }

func negotiateDiscovery(r *http.Request) discoveryFormat {
	var d discoveryFormat
	mediaType, _, err := negotiation.NegotiateOutputMediaType(r, serializers{clientscheme.Codecs, false}, &d)
	if err == nil && mediaType.Convert != nil {
		d.version = mediaType.Convert.Version
	}
	return d
}
