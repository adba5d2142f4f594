package printer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// A Definition is what a CustomResourceDefinition asks of its objects: what an API
// server holds against them before it creates one.
type Definition struct {
	versions map[string]*admission
}

// admission is one version of a definition.
type admission struct {
	served bool
	status bool // has the subresource: created objects lose their status
	open   bool // unknown fields are kept
	schema *structuralschema.Structural
	values validation.SchemaValidator
	rules  *cel.Validator // nil for none
}

// celFrom is the first release that carries out x-kubernetes-validations by default.
func celFrom() Release { return Release{1, 25} }

// NewDefinition reads a definition of apiextensions.k8s.io/v1, for the API server
// of a release.
func NewDefinition(content map[string]any, release Release) (*Definition, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := json.Unmarshal(data, &crd); err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	d := &Definition{versions: map[string]*admission{}}
	for _, v := range crd.Spec.Versions {
		a, err := admissionOf(v, release)
		if err != nil {
			return nil, fmt.Errorf("reading the schema of version %q: %w", v.Name, err)
		}
		a.open = crd.Spec.PreserveUnknownFields
		d.versions[v.Name] = a
	}
	return d, nil
}

func admissionOf(v apiextensionsv1.CustomResourceDefinitionVersion, release Release) (*admission, error) {
	a := &admission{served: v.Served, status: v.Subresources != nil && v.Subresources.Status != nil}
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		return a, nil
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
		return nil, err
	}
	var err error
	if a.schema, err = structuralschema.NewStructural(&props); err != nil {
		return nil, err
	}
	if a.values, _, err = validation.NewSchemaValidator(&props); err != nil {
		return nil, err
	}
	if !release.before(celFrom()) {
		quiet := a.schema.DeepCopy()
		withoutExpressions(quiet)
		a.rules = cel.NewValidator(quiet, true, celconfig.PerCallLimit)
	}
	return a, nil
}

// withoutExpressions leaves rules their fixed message: one that is computed may hold
// values of the object.
func withoutExpressions(s *structuralschema.Structural) {
	without := func(rules apiextensionsv1.ValidationRules) bool {
		for i := range rules {
			rules[i].MessageExpression = ""
		}
		return len(rules) > 0
	}
	v := structuralschema.Visitor{
		Structural: func(s *structuralschema.Structural) bool { return without(s.XValidations) },
		NestedValueValidation: func(v *structuralschema.NestedValueValidation) bool {
			return without(v.ValidationExtensions.XValidations)
		},
	}
	v.Visit(s)
}

// Faults are what the API server would have against the creation of an object, in
// the order of its own checks (k8s.io/apiextensions-apiserver
// pkg/apiserver/customresource_handler.go and pkg/registry/customresource/strategy.go):
// paths and what the definition asks for, and no value.
func (d *Definition) Faults(ctx context.Context, version string, content map[string]any) (faults []string) {
	a := d.versions[version]
	switch {
	case a == nil, !a.served:
		return []string{fmt.Sprintf("the definition does not serve version %q", version)}
	case a.schema == nil:
		return nil
	}
	object := runtime.DeepCopyJSON(content)
	if a.status {
		delete(object, "status")
	}
	if !a.open {
		for _, path := range pruning.PruneWithOptions(object, a.schema, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
			faults = append(faults, path+": the definition has no such field, and kubectl create refuses it")
		}
		defaulting.PruneNonNullableNullsWithoutDefaults(object, a.schema)
	}
	if err := objectmeta.Coerce(nil, object, a.schema, false, false); err != nil {
		return append(faults, faultOf(err))
	}
	defaulting.Default(object, a.schema)
	found := validation.ValidateCustomResource(nil, object, a.values)
	found = append(found, objectmeta.Validate(ctx, nil, object, a.schema, false)...)
	found = append(found, listtype.ValidateListSetsAndMaps(nil, a.schema, object)...)
	switch {
	case a.rules == nil:
	case slices.ContainsFunc(found, blocksRules):
		found = append(found, field.Invalid(nil, nil, "its rules were not checked: the rest has to be right first"))
	default:
		broken, _ := a.rules.Validate(ctx, nil, a.schema, object, nil, celconfig.RuntimeCELCostBudget)
		found = append(found, broken...)
	}
	for _, err := range found {
		faults = append(faults, faultOf(err))
	}
	return faults
}

// blocksRules tells faults behind which rules are not looked at, as the strategy
// does (hasBlockingErr).
func blocksRules(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// faultOf is an error without the value: what is of the wrong form is quoted in the
// words, too.
func faultOf(err *field.Error) string {
	path := err.Field
	if path == "" || path == "<nil>" {
		path = "the object"
	}
	if err.Detail == "" || err.Type == field.ErrorTypeTypeInvalid || err.Type == field.ErrorTypeDuplicate {
		return fmt.Sprintf("%s: %s", path, err.Type)
	}
	return fmt.Sprintf("%s: %s: %s", path, err.Type, err.Detail)
}
