package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

const approvedAnnotation = "api-approved.kubernetes.io"

// definitionRules bring definitions that were made in v1beta1 into what v1
// takes. Its server stores all of them as v1beta1, so the form says nothing.
func definitionRules() []Rule {
	definition := kinds("CustomResourceDefinition.apiextensions.k8s.io")
	return []Rule{
		{
			ID: "definition-structural", Kinds: definition,
			Why:    "v1 refuses a schema that is not structural, which v1beta1 took; without a schema to match, a version takes what it is given, and its objects can be created",
			Source: "apiextensions-apiserver pkg/apiserver/schema/validation.go, ValidateStructural; velero#2159",
			apply:  openSchemas,
		},
		{
			ID: "definition-approved", Kinds: definition,
			Why:    "v1 refuses a definition in a group of Kubernetes without the annotation of its approval, which v1beta1 did not ask for",
			Source: "apiextensions-apiserver pkg/apihelpers/helpers.go, GetAPIApprovalState; KEP-1111",
			apply: func(e *edit) {
				group := stringAt(e.stored, "spec", "group")
				if !isProtected(group) || stringAt(e.stored, "metadata", "annotations", approvedAnnotation) != "" || !e.isV1() {
					return
				}
				if mapAt(e.content, "metadata", "annotations") == nil {
					e.change(map[string]any{}, "metadata", "annotations")
				}
				e.change("unapproved, made when no approval was asked for", "metadata", "annotations", approvedAnnotation)
			},
		},
	}
}

func isProtected(group string) bool {
	return group == "k8s.io" || group == "kubernetes.io" || strings.HasSuffix(group, ".k8s.io") || strings.HasSuffix(group, ".kubernetes.io")
}

func (e *edit) isV1() bool { return stringAt(e.content, "apiVersion") == "apiextensions.k8s.io/v1" }

// openSchemas replaces schemas that the API server would refuse by the one that
// takes every field.
func openSchemas(e *edit) {
	if !e.isV1() {
		return
	}
	for i, version := range listAt(e.content, "spec", "versions") {
		node := mapAt(version, "schema", "openAPIV3Schema")
		if mapAt(version) == nil {
			continue
		}
		err := structural(node)
		if err == nil {
			continue
		}
		open := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
		e.change(map[string]any{"openAPIV3Schema": open}, "spec", "versions", i, "schema")
		e.note("the schema of version %q was replaced by one that takes everything, because v1 refuses it: %v", stringAt(version, "name"), err)
	}
}

// structural tells what apiextensions' own code has against a schema. The
// error holds paths of the schema and no value.
func structural(node map[string]any) error {
	if node == nil {
		return errors.New("there is none")
	}
	data, err := json.Marshal(node)
	if err != nil {
		return err
	}
	var v1 apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(data, &v1); err != nil {
		return errors.New("it does not parse")
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &internal, nil); err != nil {
		return errors.New("it does not parse")
	}
	if internal.Type != "object" {
		return errors.New("type: not object at the root")
	}
	s, err := schema.NewStructural(&internal)
	if err != nil {
		return err
	}
	if faults := schema.ValidateStructural(nil, s); len(faults) > 0 {
		return fmt.Errorf("%q: %s", faults[0].Field, faults[0].Type)
	}
	return validTypes(node, "")
}

// validTypes finds types that OpenAPI does not have, which v1beta1 took.
func validTypes(node map[string]any, path string) error {
	if node == nil {
		return nil
	}
	switch kind := stringAt(node, "type"); kind {
	case "", "array", "boolean", "integer", "number", "object", "string":
	default:
		return fmt.Errorf("%q: unsupported value", strings.TrimPrefix(path+".type", "."))
	}
	for _, name := range sortedKeys(mapAt(node, "properties")) {
		if err := validTypes(mapAt(node, "properties", name), path+".properties["+name+"]"); err != nil {
			return err
		}
	}
	for _, name := range []string{"items", "additionalProperties"} {
		if err := validTypes(mapAt(node, name), path+"."+name); err != nil {
			return err
		}
	}
	return nil
}
