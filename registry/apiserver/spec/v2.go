package spec

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Definitions are the schemas of the linked API as OpenAPI v2 has them, by name:
// "io.k8s.api.core.v1.Pod". Old clients such as kubectl 1.28 ask for them.
func Definitions() (map[string]any, error) {
	found := map[string]any{}
	err := eachDocument(func(_ string, r io.Reader) error {
		var document struct {
			Components struct {
				Schemas map[string]json.RawMessage `json:"schemas"`
			} `json:"components"`
		}
		if err := json.NewDecoder(r).Decode(&document); err != nil {
			return err
		}
		for name, body := range document.Components.Schemas {
			if found[name] != nil {
				continue
			}
			var schema map[string]any
			if err := json.Unmarshal(body, &schema); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			found[name] = V2(schema)
		}
		return nil
	})
	return found, err
}

// V2 says what OpenAPI v2 can say of a schema of v3, as k8s.io/kube-openapi
// does for built-in types and apiextensions-apiserver (ToStructuralOpenAPIV2) for
// custom resources: no defaults, no alternatives, references with words beside
// them.
func V2(schema map[string]any) map[string]any {
	out := make(map[string]any, len(schema))
	for name, value := range schema {
		switch name {
		case "$ref":
			text, _ := value.(string)
			out[name] = strings.Replace(text, "#/components/schemas/", "#/definitions/", 1)
		case "oneOf":
			if schema["type"] == nil {
				out["type"] = "string" // of quantities and of ports with names
			}
		case "allOf":
			if only, ok := value.([]any); ok && len(only) == 1 {
				if reference, ok := only[0].(map[string]any); ok && reference["$ref"] != nil {
					out["$ref"] = V2(reference)["$ref"]
				}
			}
		case "properties":
			properties, _ := value.(map[string]any)
			kept := make(map[string]any, len(properties))
			for property, schema := range properties {
				kept[property] = v2OrSame(schema)
			}
			out[name] = kept
		case "items", "additionalProperties":
			out[name] = v2OrSame(value)
		case "description", "title", "type", "format", "required", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
			"multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties":
			out[name] = value
		default:
			if strings.HasPrefix(name, "x-") {
				out[name] = value
			}
		}
	}
	return out
}

func v2OrSame(value any) any {
	if schema, ok := value.(map[string]any); ok {
		return V2(schema)
	}
	return value
}
