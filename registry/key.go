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

// isSystem tells first segments that hold no API object: allocation bitmaps
// (RangeAllocation) and the API servers' own endpoint leases (kubernetes
// pkg/controlplane: masterleases, peerserverleases).
func isSystem(first string) bool {
	switch first {
	case "ranges", "masterleases", "peerserverleases":
		return true
	}
	return false
}

// ParseKey takes apart an etcd key under prefix, which has no slash at its
// end. It fails on keys that stand
// outside prefix and on such that have too few or too many segments. It does
// not allocate, since a pass over a database calls it for every record: the
// Key's strings are parts of path.
func ParseKey(prefix, path string) (Key, error) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok || !strings.HasPrefix(rest, "/") {
		return Key{}, &KeyError{path, "does not stand under " + prefix}
	}
	if strings.HasSuffix(rest, "/") && rest != "/" || strings.Contains(rest, "//") {
		return Key{}, &KeyError{path, "has an empty segment"}
	}
	k := Key{Path: path}
	first, tail, _ := strings.Cut(rest[1:], "/")
	switch {
	case isSystem(first):
		k.System, k.Plural, k.Name = true, first, tail
		return k, nil
	case strings.Contains(first, "."):
		k.Group = first
		k.Plural, tail, _ = strings.Cut(tail, "/")
	case first == "oauth": // OpenShift's accesstokens, clients
		k.Plural, tail, _ = strings.Cut(tail, "/")
	case first == "services":
		second, rest, ok := strings.Cut(tail, "/")
		if !ok {
			return Key{}, &KeyError{path, "names no object"}
		}
		switch second {
		case "specs":
			k.Plural, tail = "services", rest
		case "endpoints":
			k.Plural, tail = "endpoints", rest
		default:
			return Key{}, &KeyError{path, "is neither services/specs nor services/endpoints"}
		}
	default:
		gr := builtinResource(first) // minions, controllers and ingress among them
		k.Group, k.Plural = gr.Group, gr.Resource
	}
	if tail == "" {
		return Key{}, &KeyError{path, "names no object"}
	}
	k.Name = tail
	if ns, name, ok := strings.Cut(tail, "/"); ok {
		if strings.Contains(name, "/") {
			return Key{}, &KeyError{path, "does not end in [namespace/]name"}
		}
		k.Namespace, k.Name = ns, name
	}
	return k, nil
}

// KeyError tells why an etcd key is not one of a Kubernetes object.
type KeyError struct{ Path, Why string }

func (e *KeyError) Error() string { return fmt.Sprintf("key %q %s", e.Path, e.Why) }
