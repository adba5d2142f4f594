package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
)

// The form of OpenAPI v2 that client-go takes (k8s.io/kube-openapi pkg/handler):
// as it is asked for, and as it is answered.
const (
	askedV2    = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	answeredV2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
)

// serveOpenAPIV2 answers /openapi/v2, without which kubectl 1.28 neither
// explains nor gets as far as a refusal: the schemas of the linked API and of the
// backup's own definitions.
func (s *Server) serveOpenAPIV2(w http.ResponseWriter, r *http.Request, path string) bool {
	if path != "/openapi/v2" {
		return false
	}
	document, err := s.openAPIV2()
	if err != nil {
		s.respondError(w, r, apierrors.NewInternalError(err))
		return true
	}
	if accept := r.Header.Get("Accept"); strings.Contains(accept, askedV2) || strings.Contains(accept, answeredV2) {
		s.write(w, http.StatusOK, answeredV2, document.protobuf)
		return true
	}
	s.write(w, http.StatusOK, "application/json", document.json)
	return true
}

type documentV2 struct{ json, protobuf []byte }

// makeOpenAPIV2 makes both forms of the document, which a server keeps: it
// takes longer than anything else that is asked for.
func (s *Server) makeOpenAPIV2() (document documentV2, err error) {
	definitions, err := spec.Definitions()
	if err != nil {
		return documentV2{}, err
	}
	for _, res := range s.catalog.served {
		if !res.stored.Custom {
			continue
		}
		schema, err := s.customSchema(res)
		if err == nil {
			schema, err = asMap(schema) // a reference in it has a type of its own
		}
		if err != nil {
			continue // OpenAPI v3, which has a document for each group, says why
		}
		schema = spec.V2(schema)
		schema["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": res.gvk.Group, "version": res.gvk.Version, "kind": res.gvk.Kind}}
		definitions[schemaName(res.gvk)] = schema
	}
	document.json, err = json.Marshal(map[string]any{
		"swagger": "2.0", "info": map[string]string{"title": "Kubernetes", "version": spec.Version()}, "paths": map[string]any{}, "definitions": definitions,
	})
	if err != nil {
		return documentV2{}, err
	}
	parsed, err := openapi_v2.ParseDocument(document.json)
	if err != nil {
		return documentV2{}, fmt.Errorf("making the OpenAPI v2 document: %w", err)
	}
	document.protobuf, err = proto.Marshal(parsed)
	return document, err
}
