package registry

import (
	"encoding/json"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// crdResource is where CustomResourceDefinitions are kept.
var crdResource = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}

// IsDefinition tells whether a key belongs to a CustomResourceDefinition.
func IsDefinition(k Key) bool { return k.GroupResource() == crdResource }

// ParseDefinition reads what a CustomResourceDefinition defines. Kubernetes
// stores definitions as v1beta1 JSON even in 1.37 (controlplane/apiserver
// apiextensions.go); v1 is read as well.
func ParseDefinition(o *Object) (CustomResource, error) {
	content, err := o.Content()
	if err != nil {
		return CustomResource{}, err
	}
	data, err := json.Marshal(content)
	if err != nil {
		return CustomResource{}, fmt.Errorf("reading %s: %w", o, err)
	}
	switch o.GVK.Version {
	case "v1":
		var crd apiextensionsv1.CustomResourceDefinition
		if err := json.Unmarshal(data, &crd); err != nil {
			return CustomResource{}, fmt.Errorf("reading %s: %w", o, err)
		}
		return fromV1(crd.Spec), nil
	case "v1beta1":
		var crd apiextensionsv1beta1.CustomResourceDefinition
		if err := json.Unmarshal(data, &crd); err != nil {
			return CustomResource{}, fmt.Errorf("reading %s: %w", o, err)
		}
		return fromV1beta1(crd.Spec), nil
	}
	return CustomResource{}, fmt.Errorf("reading %s: version %q is unknown", o, o.GVK.Version)
}

func fromV1(spec apiextensionsv1.CustomResourceDefinitionSpec) CustomResource {
	n := spec.Names
	c := CustomResource{
		Group: spec.Group, Kind: n.Kind, ListKind: n.ListKind, Plural: n.Plural, Singular: n.Singular,
		ShortNames: n.ShortNames, Categories: n.Categories,
		Namespaced: spec.Scope == apiextensionsv1.NamespaceScoped,
	}
	if spec.Conversion != nil {
		c.Conversion = string(spec.Conversion.Strategy)
	}
	for _, v := range spec.Versions {
		version := CustomVersion{
			Name: v.Name, Served: v.Served, Storage: v.Storage, Deprecated: v.Deprecated, Warning: ptr.Deref(v.DeprecationWarning, ""),
			Status: v.Subresources != nil && v.Subresources.Status != nil,
		}
		for _, col := range v.AdditionalPrinterColumns {
			version.Columns = append(version.Columns, CustomColumn{
				Name: col.Name, Type: col.Type, Format: col.Format, Description: col.Description,
				JSONPath: col.JSONPath, Priority: col.Priority,
			})
		}
		for _, f := range v.SelectableFields {
			version.Selectable = append(version.Selectable, f.JSONPath)
		}
		c.Versions = append(c.Versions, version)
	}
	return c
}

// fromV1beta1 spreads what v1beta1 says once for all versions over them.
func fromV1beta1(spec apiextensionsv1beta1.CustomResourceDefinitionSpec) CustomResource {
	n := spec.Names
	c := CustomResource{
		Group: spec.Group, Kind: n.Kind, ListKind: n.ListKind, Plural: n.Plural, Singular: n.Singular,
		ShortNames: n.ShortNames, Categories: n.Categories,
		Namespaced: spec.Scope != apiextensionsv1beta1.ClusterScoped,
	}
	if spec.Conversion != nil {
		c.Conversion = string(spec.Conversion.Strategy)
	}
	versions := spec.Versions
	if len(versions) == 0 {
		versions = []apiextensionsv1beta1.CustomResourceDefinitionVersion{{Name: spec.Version, Served: true, Storage: true}}
	}
	for _, v := range versions {
		subresources, columns := spec.Subresources, spec.AdditionalPrinterColumns
		if v.Subresources != nil {
			subresources = v.Subresources
		}
		if len(v.AdditionalPrinterColumns) > 0 {
			columns = v.AdditionalPrinterColumns
		}
		version := CustomVersion{
			Name: v.Name, Served: v.Served, Storage: v.Storage, Deprecated: v.Deprecated, Warning: ptr.Deref(v.DeprecationWarning, ""),
			Status: subresources != nil && subresources.Status != nil,
		}
		for _, col := range columns {
			version.Columns = append(version.Columns, CustomColumn{
				Name: col.Name, Type: col.Type, Format: col.Format, Description: col.Description,
				JSONPath: col.JSONPath, Priority: col.Priority,
			})
		}
		for _, f := range slices.Concat(spec.SelectableFields, v.SelectableFields) {
			version.Selectable = append(version.Selectable, f.JSONPath)
		}
		c.Versions = append(c.Versions, version)
	}
	return c
}
