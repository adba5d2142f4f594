package registry

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// DefaultPrefix is kube-apiserver's default for --etcd-prefix.
const DefaultPrefix = "/registry"

// Key is an etcd key of a Kubernetes object, taken apart:
//
//	<prefix>/<resource>[/<namespace>]/<name>                built-in
//	<prefix>/<group>/<resource>[/<namespace>]/<name>        custom resources, apiregistration, apiextensions
//
// Built-in resources stand without their group, and a few under an old name
// (minions, services/specs). The group of a custom resource always holds a
// dot (apiextensions validates it), no built-in resource does; that makes the
// two forms distinct.
type Key struct {
	Path string // the whole key, as in etcd

	// Group and Plural name the resource. Group is set for keys that carry it
	// and for built-in resources alike ("apps", "deployments"); "" is core.
	Group, Plural string

	Namespace string // "" for cluster-scoped objects
	Name      string

	// System is set for keys that hold no API object of their own: address
	// allocations, API server leases.
	System bool
}

// GroupResource is the resource that the key belongs to.
func (k Key) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.Plural}
}

// Resource names the resource as kubectl does: "pods", "deployments.apps".
func (k Key) Resource() string { return k.GroupResource().String() }

// systemResources are first segments that hold no API object: allocation
// bitmaps (RangeAllocation) and the API servers' own endpoint leases
// (kubernetes pkg/controlplane: masterleases, peerserverleases).
var systemResources = map[string]bool{
	"ranges": true, "masterleases": true, "peerserverleases": true,
}

// ParseKey takes apart an etcd key under prefix. It fails on keys that stand
// outside prefix and on such that have too few or too many segments.
func ParseKey(prefix, path string) (Key, error) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
	if !ok {
		return Key{}, fmt.Errorf("key %q does not stand under %q", path, prefix)
	}
	k := Key{Path: path}
	seg := strings.Split(rest, "/")
	for _, s := range seg {
		if s == "" {
			return Key{}, fmt.Errorf("key %q has an empty segment", path)
		}
	}
	switch {
	case systemResources[seg[0]]:
		k.System, k.Plural, k.Name = true, seg[0], strings.Join(seg[1:], "/")
		return k, nil
	case strings.Contains(seg[0], "."):
		if len(seg) < 2 {
			return Key{}, fmt.Errorf("key %q names no resource", path)
		}
		k.Group, k.Plural, seg = seg[0], seg[1], seg[2:]
	case len(seg) > 1 && oldNames[seg[0]+"/"+seg[1]] != (schema.GroupResource{}):
		gr := oldNames[seg[0]+"/"+seg[1]]
		k.Group, k.Plural, seg = gr.Group, gr.Resource, seg[2:]
	default:
		gr := builtinResource(seg[0])
		k.Group, k.Plural, seg = gr.Group, gr.Resource, seg[1:]
	}
	switch len(seg) {
	case 1:
		k.Name = seg[0]
	case 2:
		k.Namespace, k.Name = seg[0], seg[1]
	default:
		return Key{}, fmt.Errorf("key %q does not end in [namespace/]name", path)
	}
	return k, nil
}

// oldNames are the resources whose keys do not start with their plural
// (kubernetes pkg/kubeapiserver/default_storage_factory_builder.go,
// SpecialDefaultResourcePrefixes).
var oldNames = map[string]schema.GroupResource{
	"controllers":        {Resource: "replicationcontrollers"},
	"services/endpoints": {Resource: "endpoints"},
	"services/specs":     {Resource: "services"},
	"minions":            {Resource: "nodes"},
	"ingress":            {Group: "networking.k8s.io", Resource: "ingresses"},
}
