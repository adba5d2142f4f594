package printer

import (
	"testing"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

const shipDefinition = `
spec:
  group: fleet.example.com
  names: {kind: Ship, plural: ships}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [berth]
            x-kubernetes-validations:
            - {rule: "self.crew >= self.officers", message: "more officers than crew"}
            - {rule: "!has(self.captain) || self.captain != 'Ahab'", messageExpression: "'not with ' + self.captain"}
            properties:
              berth: {type: string, default: quay}
              crew: {type: integer, minimum: 1, default: 1}
              officers: {type: integer, default: 0}
              captain: {type: string}
              size: {type: string, enum: [small, large]}
              sails: {type: string, format: date-time}
              flags: {type: array, items: {type: string}, x-kubernetes-list-type: set}
              pod:
                type: object
                x-kubernetes-embedded-resource: true
                x-kubernetes-preserve-unknown-fields: true
          status: {type: object, properties: {fuel: {type: integer}}}
  - name: v1alpha1
    served: false
    storage: false
    schema: {openAPIV3Schema: {type: object}}
  - name: v0
    served: true
    storage: false
`

// TestDefinitionFaults: what the API server says of objects of a definition, as its
// own code does, and none of their values.
func TestDefinitionFaults(t *testing.T) {
	t.Parallel()
	read := func(text string) map[string]any {
		var content map[string]any
		data, err := yaml.YAMLToJSON([]byte(text))
		require.NoError(t, err)
		require.NoError(t, utiljson.Unmarshal(data, &content)) // whole numbers are int64, as an object of the registry has them
		return content
	}
	definition, err := NewDefinition(read(shipDefinition), newest())
	require.NoError(t, err)
	ship := func(spec string) map[string]any {
		return read("{apiVersion: fleet.example.com/v1, kind: Ship, metadata: {name: aurora, namespace: infra}, " + spec + "}")
	}
	for name, c := range map[string]struct {
		version, content string
		faults           []string
	}{
		"good":                           {"v1", "spec: {crew: 3, officers: 1, size: small, flags: [a, b]}", nil},
		"defaults are filled in":         {"v1", "spec: {}", nil},
		"a status is dropped":            {"v1", "spec: {}, status: {fuel: much}", nil},
		"not served":                     {"v1alpha1", "spec: {}", []string{`the definition does not serve version "v1alpha1"`}},
		"unknown version":                {"v7", "spec: {}", []string{`the definition does not serve version "v7"`}},
		"without a schema":               {"v0", "anything: 1", nil},
		"an unknown field":               {"v1", "spec: {colour: s3cr3t}", []string{"spec.colour: the definition has no such field, and kubectl create refuses it"}},
		"another type":                   {"v1", "spec: {captain: 7}", []string{"spec.captain: Invalid value", "the object: Invalid value: its rules were not checked: the rest has to be right first"}},
		"not of the enumeration":         {"v1", "spec: {size: s3cr3t}", []string{`spec.size: Unsupported value: supported values: "small", "large"`, "the object: Invalid value: its rules were not checked: the rest has to be right first"}},
		"another format":                 {"v1", "spec: {sails: s3cr3t}", []string{"spec.sails: Invalid value", "the object: Invalid value: its rules were not checked: the rest has to be right first"}},
		"below the minimum":              {"v1", "spec: {crew: 0}", []string{"spec.crew: Invalid value: spec.crew in body should be greater than or equal to 1"}},
		"twice in a set":                 {"v1", "spec: {flags: [s3cr3t, s3cr3t]}", []string{"spec.flags[1]: Duplicate value"}},
		"a rule":                         {"v1", "spec: {officers: 5}", []string{"spec: Invalid value: more officers than crew"}},
		"a rule with a computed message": {"v1", "spec: {captain: Ahab}", []string{"spec: Invalid value: failed rule: !has(self.captain) || self.captain != 'Ahab'"}},
	} {
		faults := definition.Faults(t.Context(), c.version, ship(c.content))
		require.Equal(t, c.faults, faults, name)
	}

	// A release that does not carry out rules does not refuse by them.
	old, err := NewDefinition(read(shipDefinition), Release{1, 24})
	require.NoError(t, err)
	require.Empty(t, old.Faults(t.Context(), "v1", ship("spec: {officers: 5}")))

	_, err = NewDefinition(map[string]any{"spec": []any{}}, newest())
	require.Error(t, err)
}
