package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
)

// customDocument is the OpenAPI v3 document of the custom resources in a
// version, as far as clients read it: a path with its kind for each resource,
// and the schema of the definition with that kind on it
// (apiextensions-apiserver pkg/controller/openapi/builder; that package links
// the whole generic server). nil where there are none.
func (s *Server) customDocument(gv schema.GroupVersion) ([]byte, error) {
	paths, schemas := map[string]any{}, map[string]any{}
	for _, res := range s.catalog.served {
		if res.gvr.GroupVersion() != gv || !res.stored.Custom {
			continue
		}
		kind := map[string]string{"group": gv.Group, "version": gv.Version, "kind": res.gvk.Kind}
		name := schemaName(res.gvk)
		for path, item := range customPaths(res, kind, name) {
			paths[path] = item
		}
		object, err := s.customSchema(res)
		if err != nil {
			return nil, err
		}
		object["x-kubernetes-group-version-kind"] = []any{kind}
		schemas[name] = object
	}
	if len(schemas) == 0 {
		return nil, nil
	}
	if err := addMetadataSchemas(schemas); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"openapi": "3.0.0", "info": map[string]string{"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
		"paths": paths, "components": map[string]any{"schemas": schemas},
	})
}

// schemaName reverses the group's parts, as the builder does:
// "com.example.fleet.v1.Ship".
func schemaName(gvk schema.GroupVersionKind) string {
	parts := strings.Split(gvk.Group, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(append(parts, gvk.Version, gvk.Kind), ".")
}

func customPaths(res served, kind map[string]string, schemaName string) map[string]any {
	operation := func(action string) map[string]any {
		return map[string]any{"get": map[string]any{
			"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
			"responses": map[string]any{"200": map[string]any{"description": "OK", "content": map[string]any{
				"application/json": map[string]any{"schema": map[string]string{"$ref": "#/components/schemas/" + schemaName}},
			}}},
		}}
	}
	root := "/apis/" + res.gvr.GroupVersion().String()
	collection := root + "/" + res.gvr.Resource
	paths := map[string]any{collection: operation("list")}
	if res.namespaced {
		collection = root + "/namespaces/{namespace}/" + res.gvr.Resource
		paths[collection] = operation("list")
	}
	paths[collection+"/{name}"] = operation("get")
	return paths
}

// customSchema is the schema of a definition, with what every object has.
func (s *Server) customSchema(res served) (map[string]any, error) {
	object := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	if props, err := s.definitionSchema(res); err != nil {
		return nil, err
	} else if props != nil {
		object = props
	}
	properties, _ := object["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
		object["properties"] = properties
	}
	doc := metav1.TypeMeta{}.SwaggerDoc()
	properties["apiVersion"] = map[string]any{"type": "string", "description": doc["apiVersion"]}
	properties["kind"] = map[string]any{"type": "string", "description": doc["kind"]}
	properties["metadata"] = map[string]any{
		"allOf":       []any{map[string]string{"$ref": "#/components/schemas/" + objectMeta}},
		"description": "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
	}
	return object, nil
}

// definitionSchema reads a definition again: schemas are long, seldom asked
// for, and not kept. Definitions that only the past has give none.
func (s *Server) definitionSchema(res served) (map[string]any, error) {
	idx, err := s.indexes.at(context.Background(), s.revision)
	if err != nil {
		return nil, err
	}
	name := res.gvr.Resource + "." + res.gvr.Group
	record, ok := idx.find(definitionResource(), s.opts.Registry.Prefix+"/apiextensions.k8s.io/customresourcedefinitions/"+name)
	if !ok {
		return nil, nil
	}
	answer, err := idx.printer().Answer(s.decode(context.Background(), idx, record))
	if err != nil {
		return nil, fmt.Errorf("reading definition %s: %w", name, err)
	}
	obj, err := answer.In(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err != nil {
		return nil, fmt.Errorf("reading definition %s: %w", name, err)
	}
	definition, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
	if !ok {
		return nil, nil
	}
	for _, v := range definition.Spec.Versions {
		if v.Name == res.gvr.Version && v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			return asMap(v.Schema.OpenAPIV3Schema)
		}
	}
	return nil, nil
}

func asMap(v any) (m map[string]any, err error) {
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// addMetadataSchemas adds ObjectMeta and what it refers to, out of the
// document of a small built-in group.
func addMetadataSchemas(schemas map[string]any) error {
	data, err := spec.OpenAPI("apis/node.k8s.io/v1")
	if err != nil {
		return err
	}
	var document struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("reading the schema of ObjectMeta: %w", err)
	}
	for name, body := range document.Components.Schemas {
		if strings.HasPrefix(name, "io.k8s.apimachinery.pkg.apis.meta.v1.") {
			schemas[name] = body
		}
	}
	return nil
}
