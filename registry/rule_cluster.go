package registry

import (
	"slices"
	"strings"
)

// leaveAll is a rule that leaves out every object of some kinds.
func leaveAll(id, why, source string, names ...string) Rule {
	return Rule{ID: id, Kinds: kinds(names...), Why: why, Source: source, apply: func(e *edit) { e.leave("%s", why) }}
}

// clusterRules leave out what every cluster makes anew by itself, and what is
// true of one run of one cluster only.
func clusterRules() []Rule {
	return []Rule{
		leaveAll("events", "an event tells of something that happened to an object that is no more, and expires within the hour",
			"kube-apiserver --event-ttl", "Event", "Event.events.k8s.io"),
		leaveAll("leases", "a lease names a holder that is no more; who needs one takes it anew",
			"client-go tools/leaderelection", "Lease.coordination.k8s.io", "LeaseCandidate.coordination.k8s.io"),
		leaveAll("nodes", "kubelets register their Nodes themselves; labels and taints set by hand are to be set again",
			"kubernetes pkg/kubelet/kubelet_node_status.go", "Node", "CSINode.storage.k8s.io"),
		leaveAll("volume-attachments", "the attach-detach controller makes it for the Pods that run; an old one claims that a volume is attached",
			"kubernetes pkg/controller/volume/attachdetach; velero#4823", "VolumeAttachment.storage.k8s.io"),
		leaveAll("storage-capacities", "storage drivers publish it",
			"kubernetes-csi/external-provisioner", "CSIStorageCapacity.storage.k8s.io"),
		leaveAll("resource-slices", "resource drivers publish their devices and answer requests about them",
			"KEP-4381", "ResourceSlice.resource.k8s.io", "ResourcePoolStatusRequest.resource.k8s.io"),
		leaveAll("certificate-requests", "a request for a certificate is answered once, for a key that its requester has",
			"kubernetes pkg/controller/certificates", "CertificateSigningRequest.certificates.k8s.io", "PodCertificateRequest.certificates.k8s.io"),
		leaveAll("ip-addresses", "the API server makes one for each Service address that it allocates",
			"kubernetes pkg/registry/core/service/ipallocator", "IPAddress.networking.k8s.io"),
		leaveAll("storage-versions", "API servers write down which version they store",
			"kubernetes pkg/controlplane/storageversionhashdata", "StorageVersion.internal.apiserver.k8s.io"),
		{
			ID: "storage-migration-done", Kinds: kinds("StorageVersionMigration.storagemigration.k8s.io"),
			Why:    "the migration has ended; a new one would rewrite every object of its resource",
			Source: "kubernetes pkg/controller/storageversionmigrator",
			apply: func(e *edit) {
				if hasCondition(e.stored, "Succeeded", "Failed") {
					e.leave("the migration has ended")
				}
			},
		},
		{
			ID: "api-service-automanaged", Kinds: kinds("APIService.apiregistration.k8s.io"),
			Why:    "the API server registers its own groups and those of custom resources",
			Source: "kube-aggregator pkg/controllers/autoregister, AutoRegisterManagedLabel",
			apply: func(e *edit) {
				if stringAt(e.stored, "metadata", "labels", "kube-aggregator.kubernetes.io/automanaged") != "" {
					e.leave("the API server registers it by itself")
				}
			},
		},
		{
			ID: "priority-class-system", Kinds: kinds("PriorityClass.scheduling.k8s.io"),
			Why:    "the API server makes its own two at start, and reserves their names",
			Source: "kubernetes pkg/registry/scheduling/rest/storage_scheduling.go",
			apply: func(e *edit) {
				if e.id.name == "system-node-critical" || e.id.name == "system-cluster-critical" {
					e.leave("the API server makes it at start")
				}
			},
		},
		{
			ID: "flow-control-default", Kinds: kinds("FlowSchema.flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io"),
			Why:    "the API server makes its defaults at start; what was changed in them is to be applied",
			Source: "apiserver pkg/apis/flowcontrol/bootstrap/default.go, AutoUpdateAnnotationKey",
			apply: func(e *edit) {
				switch stringAt(e.stored, "metadata", "annotations", "apf.kubernetes.io/autoupdate-spec") {
				case "true":
					e.leave("the API server makes it at start")
				case "false":
					e.exists = true
					e.note("the API server makes one of this name at start; this one was changed by hand")
				}
			},
		},
		{
			ID: "service-cidr-default", Kinds: kinds("ServiceCIDR.networking.k8s.io"),
			Why:    "the API server makes it from --service-cluster-ip-range",
			Source: "kubernetes pkg/controlplane/controller/defaultservicecidr",
			apply: func(e *edit) {
				if e.id.name == "kubernetes" {
					e.leave("the API server makes it from its own flags")
				}
			},
		},
		{
			ID: "trust-bundle-apiserver", Kinds: kinds("ClusterTrustBundle.certificates.k8s.io"),
			Why:    "the controller manager publishes the serving CA of the cluster that it runs in",
			Source: "kubernetes pkg/controller/certificates/clustertrustbundlepublisher",
			apply: func(e *edit) {
				if strings.HasPrefix(e.id.name, "kubernetes.io:kube-apiserver-serving:") {
					e.leave("the controller manager publishes that of the new cluster")
				}
			},
		},
		{
			ID: "namespace-system", Kinds: kinds("Namespace"),
			Why:    "the API server makes its four at start; labels and annotations set in them are to be applied",
			Source: "kubernetes pkg/controlplane/controller/systemnamespaces",
			apply: func(e *edit) {
				if !slices.Contains([]string{"default", "kube-system", "kube-public", "kube-node-lease"}, e.id.name) {
					return
				}
				if !hasOwnMetadata(e.stored) {
					e.leave("the API server makes it at start")
					return
				}
				e.exists = true
				e.note("the API server makes it at start; this one has labels or annotations of its own")
			},
		},
		{
			ID: "rbac-default", Kinds: kinds("ClusterRole.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io",
				"Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io"),
			Why:    "the API server makes its default roles and bindings at start; changed ones are to be applied",
			Source: "kubernetes pkg/registry/rbac/rest/storage_rbac.go, plugin/pkg/auth/authorizer/rbac/bootstrappolicy",
			apply: func(e *edit) {
				if stringAt(e.stored, "metadata", "labels", "kubernetes.io/bootstrapping") != "rbac-defaults" {
					return
				}
				if !e.touched() {
					e.leave("the API server makes it at start")
					return
				}
				e.exists = true
				e.note("the API server makes one of this name at start; this one was changed by somebody else")
			},
		},
	}
}

// hasOwnMetadata tells whether somebody gave a Namespace labels or annotations.
func hasOwnMetadata(stored map[string]any) bool {
	for key := range mapAt(stored, "metadata", "labels") {
		if key != namespaceLabel {
			return true
		}
	}
	for key := range mapAt(stored, "metadata", "annotations") {
		if key != lastApplied {
			return true
		}
	}
	return false
}

// hasCondition tells whether one of the conditions is True.
func hasCondition(stored map[string]any, types ...string) bool {
	for _, c := range listAt(stored, "status", "conditions") {
		if stringAt(c, "status") == "True" && slices.Contains(types, stringAt(c, "type")) {
			return true
		}
	}
	return false
}
