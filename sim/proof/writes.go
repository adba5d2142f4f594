package proof

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ownWrite is a kind of write that a kube-apiserver makes by itself as soon as
// it runs. Names are patterns of path.Match for namespace/name.
type ownWrite struct {
	resource, name string
	why            string
	changes        bool // of what is there: none is made
}

// ownWrites are the controllers that run inside kube-apiserver
// (k8s.io/kubernetes pkg/controlplane, pkg/registry/rbac/rest/storage_rbac.go,
// staging kube-aggregator and apiextensions-apiserver).
var ownWrites = []ownWrite{
	{"leases.coordination.k8s.io", "kube-system/apiserver-*", "the API server's own identity", false},
	{"flowschemas.flowcontrol.apiserver.k8s.io", "/*", "API priority and fairness: its defaults, and which of them dangle", false},
	{"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "/*", "API priority and fairness: its defaults", false},
	{"clusterroles.rbac.authorization.k8s.io", "/*", "RBAC's bootstrap policy, reconciled at the start", false},
	{"clusterrolebindings.rbac.authorization.k8s.io", "/*", "RBAC's bootstrap policy, reconciled at the start", false},
	{"roles.rbac.authorization.k8s.io", "kube-*/system:*", "RBAC's bootstrap policy, reconciled at the start", false},
	{"rolebindings.rbac.authorization.k8s.io", "kube-*/system:*", "RBAC's bootstrap policy, reconciled at the start", false},
	{"roles.rbac.authorization.k8s.io", "kube-system/extension-apiserver-authentication-reader", "RBAC's bootstrap policy, reconciled at the start", false},
	{"priorityclasses.scheduling.k8s.io", "/system-*", "the system's priority classes", false},
	{"namespaces", "/default", "the system's namespaces", false},
	{"namespaces", "/kube-*", "the system's namespaces", false},
	{"services", "default/kubernetes", "the Service of the API server", false},
	{"endpoints", "default/kubernetes", "the addresses of the API server", false},
	{"endpointslices.discovery.k8s.io", "default/kubernetes", "the addresses of the API server", false},
	{"configmaps", "kube-system/extension-apiserver-authentication", "how aggregated servers know their callers", false},
	{"configmaps", "kube-system/kube-apiserver-legacy-service-account-token-tracking", "since when unused tokens are tracked", false},
	{"secrets", "*/*", "when a legacy service-account token was last used", true},
	{"apiservices.apiregistration.k8s.io", "/*", "one for each API version that is served, and whether it is available", false},
	{"customresourcedefinitions.apiextensions.k8s.io", "/*", "whether the definition is established", true},
	{"servicecidrs.networking.k8s.io", "/*", "the range of the Services", false},
	{"ipaddresses.networking.k8s.io", "/*", "addresses of Services, repaired", false},
	{"storageversions.internal.apiserver.k8s.io", "/*", "which versions this server writes", false},
	{"events", "*/*", "what the API server has to report", false},
}

// ownDeletions are what its controllers remove.
var ownDeletions = []ownWrite{
	{"leases.coordination.k8s.io", "kube-system/apiserver-*", "the identity of a server that is no more", false},
	{"apiservices.apiregistration.k8s.io", "/*", "an API version that this server's flags do not serve", false},
	{"storageversions.internal.apiserver.k8s.io", "/*", "of servers that are no more", false},
	{"events", "*/*", "its time to live was over", false},
	{"endpointslices.discovery.k8s.io", "default/kubernetes*", "the addresses of the API server", false},
	{"ipaddresses.networking.k8s.io", "/*", "an address that no Service has", false},
}

func whyIn(table []ownWrite, gr schema.GroupResource, name, what string) string {
	for _, w := range table {
		if matched, _ := path.Match(w.name, name); matched && w.resource == gr.String() && (!w.changes || what == changed) { // the patterns are well-formed
			return w.why
		}
	}
	return ""
}

// What a write does to an object.
const (
	created = "created"
	changed = "changed"
	deleted = "deleted"
)

func whyWritten(gr schema.GroupResource, name, what string) string {
	if gr.Resource == "clusterroles" || gr.Resource == "clusterrolebindings" {
		if !strings.HasPrefix(name, "/system:") && name != "/cluster-admin" && name != "/admin" && name != "/edit" && name != "/view" {
			return ""
		}
	}
	return whyIn(ownWrites, gr, name, what)
}

func whyDeleted(gr schema.GroupResource, name string) string {
	return whyIn(ownDeletions, gr, name, deleted)
}
