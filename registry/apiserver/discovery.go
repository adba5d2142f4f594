package apiserver

import (
	"net/http"
	"strings"

	discoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// serveDiscovery answers /api, /apis and what lies between them and a
// resource; ok is false for paths that are none of these.
func (s *Server) serveDiscovery(w http.ResponseWriter, r *http.Request, path string) (ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var answer runtime.Object
	switch {
	case path == "/api" || path == "/apis" || path == "/api/" || path == "/apis/":
		s.serveGroups(w, r, strings.TrimSuffix(path, "/"))
		return true
	case len(parts) == 2 && parts[0] == "api":
		answer = s.catalog.resourceList("", parts[1])
	case len(parts) == 2 && parts[0] == "apis":
		answer = s.catalog.group(parts[1])
	case len(parts) == 3 && parts[0] == "apis":
		answer = s.catalog.resourceList(parts[1], parts[2])
	}
	if answer == nil {
		return false
	}
	if err := checkAccept(r, false); err != nil && (parts[0] == "api" || s.catalog.builtin[parts[1]]) {
		s.respondError(w, r, err)
		return true
	}
	s.respond(w, r, http.StatusOK, answer)
	return true
}

// serveGroups answers in one piece for clients that ask so (kubectl since
// 1.26), in the old form for all others.
func (s *Server) serveGroups(w http.ResponseWriter, r *http.Request, path string) {
	groups := s.catalog.groups
	if core := path == "/api"; core {
		groups = groups[:1]
	} else {
		groups = groups[1:]
	}
	asked := negotiateDiscovery(r)
	if asked.version != "" {
		list := &discoveryv2.APIGroupDiscoveryList{Items: groups}
		list.APIVersion, list.Kind = "apidiscovery.k8s.io/"+asked.version, "APIGroupDiscoveryList"
		w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v="+asked.version+";as=APIGroupDiscoveryList")
		s.writeJSON(w, http.StatusOK, list)
		return
	}
	if path == "/api" {
		answer := &metav1.APIVersions{
			Versions:                   []string{"v1"},
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: r.Host}},
		}
		answer.Kind = "APIVersions"
		s.respond(w, r, http.StatusOK, answer)
		return
	}
	list := &metav1.APIGroupList{}
	list.Kind, list.APIVersion = "APIGroupList", "v1"
	for _, g := range groups {
		group := plainGroup(g)
		group.Kind, group.APIVersion = "", ""
		list.Groups = append(list.Groups, *group)
	}
	s.respond(w, r, http.StatusOK, list)
}

func plainGroup(g discoveryv2.APIGroupDiscovery) *metav1.APIGroup {
	group := &metav1.APIGroup{Name: g.Name}
	group.Kind, group.APIVersion = "APIGroup", "v1"
	for _, v := range g.Versions {
		gv := schema.GroupVersion{Group: g.Name, Version: v.Version}
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: v.Version})
	}
	group.PreferredVersion = group.Versions[0]
	return group
}

func (c *catalog) group(name string) runtime.Object {
	for _, g := range c.groups[1:] {
		if g.Name == name {
			return plainGroup(g)
		}
	}
	return nil
}

func (c *catalog) resourceList(group, version string) runtime.Object {
	for _, g := range c.groups {
		for _, v := range g.Versions {
			if g.Name == group && v.Version == version {
				return plainResources(schema.GroupVersion{Group: group, Version: version}, v)
			}
		}
	}
	return nil
}

func plainResources(gv schema.GroupVersion, v discoveryv2.APIVersionDiscovery) *metav1.APIResourceList {
	list := &metav1.APIResourceList{GroupVersion: gv.String(), APIResources: []metav1.APIResource{}}
	list.Kind, list.APIVersion = "APIResourceList", "v1"
	for _, r := range v.Resources {
		plain := metav1.APIResource{
			Name: r.Resource, SingularName: r.SingularResource, Namespaced: r.Scope == discoveryv2.ScopeNamespace,
			Kind: r.ResponseKind.Kind, Verbs: r.Verbs, ShortNames: r.ShortNames, Categories: r.Categories,
		}
		list.APIResources = append(list.APIResources, plain)
		for _, sub := range r.Subresources {
			entry := metav1.APIResource{Name: r.Resource + "/" + sub.Subresource, Namespaced: plain.Namespaced, Kind: sub.ResponseKind.Kind, Verbs: sub.Verbs}
			if sub.ResponseKind.Group != gv.Group || sub.ResponseKind.Version != gv.Version {
				entry.Group, entry.Version = sub.ResponseKind.Group, sub.ResponseKind.Version
			}
			list.APIResources = append(list.APIResources, entry)
		}
	}
	return list
}
