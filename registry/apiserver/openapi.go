package apiserver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
)

// serveOpenAPI answers /openapi/v3 and what stands below it: the schemas of
// the linked API, and those of the backup's own definitions.
func (s *Server) serveOpenAPI(w http.ResponseWriter, r *http.Request, path string) bool {
	path = strings.TrimSuffix(path, "/")
	if path != "/openapi/v3" && !strings.HasPrefix(path, "/openapi/v3/") {
		return false
	}
	// The protobuf form has fewer readers; a client that wants nothing else is told.
	if _, _, err := negotiation.NegotiateOutputMediaType(r, serializers{clientscheme.Codecs, true}, transforms{}); err != nil {
		s.respondError(w, r, err)
		return true
	}
	document, err := s.openAPIDocument(strings.TrimPrefix(strings.TrimPrefix(path, "/openapi/v3"), "/"))
	switch {
	case err != nil:
		s.respondError(w, r, apierrors.NewInternalError(err))
	case document == nil:
		http.NotFound(w, r)
	default:
		s.write(w, http.StatusOK, "application/json", document)
	}
	return true
}

func (s *Server) openAPIDocument(path string) ([]byte, error) {
	if path == "" {
		return s.openAPIRoot()
	}
	if document, err := spec.OpenAPI(path); err != nil || document != nil {
		return document, err
	}
	parts := strings.Split(path, "/")
	if len(parts) != 3 || parts[0] != "apis" {
		return nil, nil
	}
	return s.customDocument(schema.GroupVersion{Group: parts[1], Version: parts[2]})
}

// linkedHash changes with the linked API, so that no client keeps the schemas
// of another one.
var linkedHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(spec.Version()))
	return strings.ToUpper(hex.EncodeToString(sum[:16]))
})

// openAPIRoot lists the documents. The URLs begin with /openapi/v3, to which
// client-go puts the path of the server's own URL.
func (s *Server) openAPIRoot() ([]byte, error) {
	type link struct {
		URL string `json:"serverRelativeURL"`
	}
	paths, err := spec.Paths()
	if err != nil {
		return nil, err
	}
	links := map[string]link{}
	for _, path := range paths {
		links[path] = link{"/openapi/v3/" + path + "?hash=" + linkedHash()}
	}
	for gvr, res := range s.catalog.served {
		if res.stored.Custom {
			path := "apis/" + gvr.GroupVersion().String()
			links[path] = link{"/openapi/v3/" + path}
		}
	}
	return json.Marshal(map[string]any{"paths": links})
}
