package apiserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	discoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/deprecation"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/registry/apiserver/spec"
)

// served is one resource in one version.
type served struct {
	gvr        schema.GroupVersionResource
	gvk        schema.GroupVersionKind
	listKind   string
	stored     registry.Resource // where its objects lie: the core group's for events.k8s.io
	namespaced bool
	status     bool // has the subresource status
	scale      bool // and scale

	deprecated string // what clients are told of the version; "" for nothing
}

// catalog is all that the server answers for. It does not hang on a revision:
// clients keep discovery for hours.
type catalog struct {
	groups    []discoveryv2.APIGroupDiscovery // the core group first
	served    map[schema.GroupVersionResource]served
	resources *registry.Resources
	builtin   map[string]bool // groups that Kubernetes itself serves
}

// readVerbs are what a backup can do.
func readVerbs() []string { return []string{"get", "list", "watch"} }

// newCatalog joins the linked API with the custom resources of a backup.
func newCatalog(customs []registry.CustomResource) (*catalog, error) {
	list, err := spec.Discovery()
	if err != nil {
		return nil, err
	}
	c := &catalog{served: map[schema.GroupVersionResource]served{}, resources: registry.NewResources(customs), builtin: map[string]bool{}}
	for _, group := range list.Items {
		c.addBuiltin(group)
	}
	c.addCustoms(customs)
	return c, nil
}

// addBuiltin takes over the resources of a group that are stored, and the
// reviews that a client asks about itself.
func (c *catalog) addBuiltin(group discoveryv2.APIGroupDiscovery) {
	c.builtin[group.Name] = true
	out := discoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: group.Name}}
	for _, v := range group.Versions {
		version := discoveryv2.APIVersionDiscovery{Version: v.Version, Freshness: discoveryv2.DiscoveryFreshnessCurrent}
		for _, r := range v.Resources {
			gv := schema.GroupVersion{Group: group.Name, Version: v.Version}
			if isReview(r.Resource) {
				version.Resources = append(version.Resources, r)
				continue
			}
			stored, ok := registry.LookupResource(gv.WithResource(r.Resource).GroupResource())
			if !ok || !slices.Contains(r.Verbs, "list") {
				continue
			}
			s := served{
				gvr: gv.WithResource(r.Resource), gvk: gv.WithKind(r.ResponseKind.Kind), listKind: r.ResponseKind.Kind + "List", stored: stored,
				namespaced: r.Scope == discoveryv2.ScopeNamespace, deprecated: deprecationOf(gv.WithKind(r.ResponseKind.Kind)),
			}
			r.Verbs, r.Subresources = readVerbs(), readable(r.Subresources)
			s.status, s.scale = hasSubresource(r, "status"), hasSubresource(r, "scale")
			c.served[s.gvr] = s
			version.Resources = append(version.Resources, r)
		}
		if len(version.Resources) > 0 {
			out.Versions = append(out.Versions, version)
		}
	}
	if len(out.Versions) > 0 {
		c.groups = append(c.groups, out)
	}
}

// deprecationOf is what an API server says with every answer in a version that
// will go (k8s.io/apiserver pkg/endpoints/installer.go).
func deprecationOf(gvk schema.GroupVersionKind) string {
	obj, err := clientscheme.Scheme.New(gvk)
	if err != nil {
		return "" // of the two API servers beside the main one, which serve none
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	major, minor, err := deprecation.MajorMinor(serverVersion())
	if err != nil || !deprecation.IsDeprecated(obj, major, minor) {
		return ""
	}
	return deprecation.WarningMessage(obj)
}

func hasSubresource(r discoveryv2.APIResourceDiscovery, name string) bool {
	return slices.ContainsFunc(r.Subresources, func(s discoveryv2.APISubresourceDiscovery) bool { return s.Subresource == name })
}

// readable are the subresources that stay: status is part of the object, and
// kubectl scale looks scale up before it asks, and is then told why not.
func readable(subresources []discoveryv2.APISubresourceDiscovery) (kept []discoveryv2.APISubresourceDiscovery) {
	for _, s := range subresources {
		if s.Subresource == "status" || s.Subresource == "scale" {
			s.Verbs = []string{"get"}
			kept = append(kept, s)
		}
	}
	return kept
}

// addCustoms adds what CustomResourceDefinitions define, as
// apiextensions-apiserver's discovery does.
func (c *catalog) addCustoms(customs []registry.CustomResource) {
	byGroup := map[string][]registry.CustomResource{}
	for _, custom := range customs {
		gr := schema.GroupResource{Group: custom.Group, Resource: custom.Plural}
		if _, builtin := registry.LookupResource(gr); !builtin && custom.Group != "" && custom.Plural != "" {
			byGroup[custom.Group] = append(byGroup[custom.Group], custom)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(byGroup), func(a, b string) int {
		return strings.Compare(firstService(a, byGroup[a]), firstService(b, byGroup[b]))
	}) {
		c.addCustomGroup(name, byGroup[name])
	}
}

// firstService is the first name of a group's APIServices, by which an API
// server puts groups of the same priority in order: "v1.fleet.example.com"
// (kube-aggregator pkg/apis/apiregistration/v1/helper, SortedByGroupAndVersion).
func firstService(group string, customs []registry.CustomResource) (first string) {
	for _, custom := range customs {
		for _, v := range custom.Versions {
			if name := v.Name + "." + group; v.Served && (first == "" || name < first) {
				first = name
			}
		}
	}
	return first
}

func (c *catalog) addCustomGroup(name string, customs []registry.CustomResource) {
	at := slices.IndexFunc(c.groups, func(g discoveryv2.APIGroupDiscovery) bool { return g.Name == name })
	if at < 0 {
		at = len(c.groups)
		c.groups = append(c.groups, discoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	group := &c.groups[at]
	first := map[string]bool{} // versions that a definition without a converter wants first
	for _, custom := range customs {
		for _, v := range custom.Versions {
			if v.Served {
				c.addCustomVersion(group, custom, v)
				first[v.Name] = first[v.Name] || v.Storage && needsWebhook(custom)
			}
		}
	}
	slices.SortStableFunc(group.Versions, func(a, b discoveryv2.APIVersionDiscovery) int {
		if first[a.Version] != first[b.Version] {
			if first[a.Version] {
				return -1
			}
			return 1
		}
		return version.CompareKubeAwareVersionStrings(b.Version, a.Version)
	})
	for _, v := range group.Versions {
		slices.SortFunc(v.Resources, func(a, b discoveryv2.APIResourceDiscovery) int { return cmp.Compare(a.Resource, b.Resource) })
	}
}

// needsWebhook tells a definition whose versions only a webhook converts into
// each other. No webhook runs here, so the version that objects are stored in
// is offered first.
func needsWebhook(custom registry.CustomResource) bool {
	return custom.Conversion != "" && custom.Conversion != "None"
}

func (c *catalog) addCustomVersion(group *discoveryv2.APIGroupDiscovery, custom registry.CustomResource, v registry.CustomVersion) {
	at := slices.IndexFunc(group.Versions, func(have discoveryv2.APIVersionDiscovery) bool { return have.Version == v.Name })
	if at < 0 {
		at = len(group.Versions)
		group.Versions = append(group.Versions, discoveryv2.APIVersionDiscovery{Version: v.Name, Freshness: discoveryv2.DiscoveryFreshnessCurrent})
	}
	stored := custom.Resource()
	gv := schema.GroupVersion{Group: custom.Group, Version: v.Name}
	s := served{
		gvr: gv.WithResource(custom.Plural), gvk: gv.WithKind(custom.Kind), listKind: cmp.Or(custom.ListKind, custom.Kind+"List"), stored: stored,
		namespaced: custom.Namespaced, status: v.Status,
	}
	if v.Deprecated {
		s.deprecated = cmp.Or(v.Warning, fmt.Sprintf("%s %s is deprecated", gv, custom.Kind))
	}
	if _, double := c.served[s.gvr]; double {
		return
	}
	c.served[s.gvr] = s
	kind := &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: custom.Kind}
	r := discoveryv2.APIResourceDiscovery{
		Resource: custom.Plural, ResponseKind: kind, Scope: discoveryv2.ScopeCluster, SingularResource: stored.Singular,
		Verbs: readVerbs(), ShortNames: custom.ShortNames, Categories: custom.Categories,
	}
	if custom.Namespaced {
		r.Scope = discoveryv2.ScopeNamespace
	}
	if v.Status {
		r.Subresources = []discoveryv2.APISubresourceDiscovery{{Subresource: "status", ResponseKind: kind, Verbs: []string{"get"}}}
	}
	group.Versions[at].Resources = append(group.Versions[at].Resources, r)
}
