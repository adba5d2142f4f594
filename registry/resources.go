package registry

import (
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// Resource is a kind of object with the names that users and keys give it.
type Resource struct {
	Group   string // "" is core
	Version string // the version that the API server answers with: "v1"
	Kind    string // "Deployment"

	Plural, Singular string // "deployments", "deployment"
	Namespaced       bool
	ShortNames       []string // "deploy"
	Categories       []string // "all"

	// Prefix stands between --etcd-prefix and [namespace/]name in the key:
	// "deployments", "services/specs", "fleet.example.com/ships".
	Prefix string

	Custom  bool // defined by a CustomResourceDefinition
	Removed bool // no longer part of Kubernetes 1.37
}

// GroupResource is the resource's group and plural.
func (r Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Plural}
}

// GroupKind is the group and kind of the resource's objects.
func (r Resource) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: r.Group, Kind: r.Kind}
}

// String names the resource as `kubectl get -o name` does, in the plural:
// "pods", "deployments.apps".
func (r Resource) String() string { return r.GroupResource().String() }

// ServedByDefault tells whether an API server with default flags serves it:
// alpha and beta versions have to be switched on (KEP-3136).
func (r Resource) ServedByDefault() bool {
	return r.Custom || !r.Removed && isStable(r.Version)
}

func isStable(v string) bool {
	return strings.HasPrefix(v, "v") && strings.Trim(v[1:], "0123456789") == ""
}

// singularOf is the rule by which every built-in strategy names its singular.
func singularOf(kind string) string { return strings.ToLower(kind) }

// builtins are the tables with their indexes, built once and read only.
type builtins struct {
	all      []Resource
	byPrefix map[string]schema.GroupResource
	byKind   map[schema.GroupKind]Resource
}

var loadBuiltins = sync.OnceValue(func() *builtins {
	b := &builtins{all: builtinTable(), byPrefix: map[string]schema.GroupResource{}, byKind: map[schema.GroupKind]Resource{}}
	for _, r := range removedTable() {
		r.Removed = true
		b.all = append(b.all, r)
	}
	for _, r := range b.all {
		b.byPrefix[r.Prefix] = r.GroupResource()
		b.byKind[r.GroupKind()] = r
		for _, group := range []string{"extensions", "events.k8s.io"} {
			if g, ok := cohabiting(group, r.Plural); ok && g == r.Group {
				b.byKind[schema.GroupKind{Group: group, Kind: r.Kind}] = r
			}
		}
	}
	return b
})

// Builtins are the resources that kube-apiserver itself stores, in the order
// of its discovery, the ones removed from Kubernetes last.
func Builtins() []Resource { return slices.Clone(loadBuiltins().all) }

// LookupKind finds the built-in resource of a kind. Groups that share their
// storage lead to the one that the keys belong to: extensions Deployment to
// deployments.apps, events.k8s.io Event to events.
func LookupKind(gk schema.GroupKind) (Resource, bool) {
	r, ok := loadBuiltins().byKind[gk]
	return r, ok
}

// LookupResource finds the built-in resource of a group and plural, with
// shared storage resolved as in LookupKind.
func LookupResource(gr schema.GroupResource) (Resource, bool) {
	gr.Group, _ = cohabiting(gr.Group, gr.Resource)
	for _, r := range loadBuiltins().all {
		if r.GroupResource() == gr {
			return r, true
		}
	}
	return Resource{}, false
}

// builtinResource is the resource whose keys start with first; unknown ones
// are taken for a resource of the core group.
func builtinResource(first string) schema.GroupResource {
	if gr, ok := loadBuiltins().byPrefix[first]; ok {
		return gr
	}
	return schema.GroupResource{Resource: first}
}

// CustomResource is what a CustomResourceDefinition says of its resource.
type CustomResource struct {
	Group, Kind      string
	ListKind         string // "" is Kind with List
	Plural, Singular string
	ShortNames       []string
	Categories       []string
	Namespaced       bool
	Versions         []CustomVersion // in the definition's order
	Conversion       string          // "None" or "Webhook"; "" is None
}

// CustomVersion is one version of a custom resource.
type CustomVersion struct {
	Name            string
	Served, Storage bool
	Status          bool // has the status subresource
	Columns         []CustomColumn
	Selectable      []string // JSON paths that field selectors may ask for: ".spec.colour"

	Deprecated bool
	Warning    string // what clients are told of a deprecated version; "" is the API server's own words
}

// CustomColumn is one of a version's additionalPrinterColumns.
type CustomColumn struct {
	Name, Type, Format, Description, JSONPath string
	Priority                                  int32
}

// Version finds a version by name.
func (c CustomResource) Version(name string) (CustomVersion, bool) {
	for _, v := range c.Versions {
		if v.Name == name {
			return v, true
		}
	}
	return CustomVersion{}, false
}

// Preferred is the version that the API server answers with: of the served
// ones the first by version.CompareKubeAwareVersionStrings, "" if none is
// served. (apiextensions-apiserver pkg/apiserver/customresource_discovery_controller.go)
func (c CustomResource) Preferred() string {
	best := ""
	for _, v := range c.Versions {
		if v.Served && (best == "" || version.CompareKubeAwareVersionStrings(v.Name, best) > 0) {
			best = v.Name
		}
	}
	return best
}

// Resource is the custom resource in the form of the built-in ones. Fields
// that the definition leaves empty get the API server's defaults.
func (c CustomResource) Resource() Resource {
	r := Resource{
		Group: c.Group, Version: c.Preferred(), Kind: c.Kind, Plural: c.Plural, Singular: c.Singular,
		Namespaced: c.Namespaced, ShortNames: c.ShortNames, Categories: c.Categories,
		Prefix: c.Group + "/" + c.Plural, Custom: true,
	}
	if r.Singular == "" {
		r.Singular = singularOf(r.Kind)
	}
	return r
}
