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
}

// ownWrites are the controllers that run inside kube-apiserver
// (k8s.io/kubernetes pkg/controlplane, pkg/registry/rbac/rest/storage_rbac.go,
// staging kube-aggregator and apiextensions-apiserver).
var ownWrites = []ownWrite{
	{"leases.coordination.k8s.io", "kube-system/apiserver-*", "the API server's own identity"},
	{"flowschemas.flowcontrol.apiserver.k8s.io", "/*", "API priority and fairness: its defaults, and which of them dangle"},
	{"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "/*", "API priority and fairness: its defaults"},
	{"clusterroles.rbac.authorization.k8s.io", "/*", "RBAC's bootstrap policy, reconciled at the start"},
	{"clusterrolebindings.rbac.authorization.k8s.io", "/*", "RBAC's bootstrap policy, reconciled at the start"},
	{"roles.rbac.authorization.k8s.io", "kube-*/*", "RBAC's bootstrap policy, reconciled at the start"},
	{"rolebindings.rbac.authorization.k8s.io", "kube-*/*", "RBAC's bootstrap policy, reconciled at the start"},
	{"priorityclasses.scheduling.k8s.io", "/system-*", "the system's priority classes"},
	{"namespaces", "/default", "the system's namespaces"},
	{"namespaces", "/kube-*", "the system's namespaces"},
	{"services", "default/kubernetes", "the Service of the API server"},
	{"endpoints", "default/kubernetes", "the addresses of the API server"},
	{"endpointslices.discovery.k8s.io", "default/kubernetes", "the addresses of the API server"},
	{"configmaps", "kube-system/extension-apiserver-authentication", "how aggregated servers know their callers"},
	{"configmaps", "kube-system/kube-apiserver-legacy-service-account-token-tracking", "since when unused tokens are tracked"},
	{"secrets", "*/*", "when a legacy service-account token was last used"},
	{"apiservices.apiregistration.k8s.io", "/*", "one for each API version that is served, and whether it is available"},
	{"customresourcedefinitions.apiextensions.k8s.io", "/*", "whether the definition is established"},
	{"servicecidrs.networking.k8s.io", "/*", "the range of the Services"},
	{"ipaddresses.networking.k8s.io", "/*", "addresses of Services, repaired"},
	{"storageversions.internal.apiserver.k8s.io", "/*", "which versions this server writes"},
	{"events", "*/*", "what the API server has to report"},
}

// ownDeletions are what its controllers remove.
var ownDeletions = []ownWrite{
	{"leases.coordination.k8s.io", "kube-system/apiserver-*", "the identity of a server that is no more"},
	{"apiservices.apiregistration.k8s.io", "/*", "an API version that this server's flags do not serve"},
	{"storageversions.internal.apiserver.k8s.io", "/*", "of servers that are no more"},
	{"events", "*/*", "its time to live was over"},
	{"endpointslices.discovery.k8s.io", "default/kubernetes*", "the addresses of the API server"},
	{"ipaddresses.networking.k8s.io", "/*", "an address that no Service has"},
}

func whyIn(table []ownWrite, gr schema.GroupResource, name string) string {
	for _, w := range table {
		if matched, _ := path.Match(w.name, name); matched && w.resource == gr.String() { // the patterns are well-formed
			return w.why
		}
	}
	return ""
}

func whyWritten(gr schema.GroupResource, name string) string {
	if gr.Resource == "clusterroles" || gr.Resource == "clusterrolebindings" {
		if !strings.HasPrefix(name, "/system:") && name != "/cluster-admin" && name != "/admin" && name != "/edit" && name != "/view" {
			return ""
		}
	}
	return whyIn(ownWrites, gr, name)
}

func whyDeleted(gr schema.GroupResource, name string) string { return whyIn(ownDeletions, gr, name) }
