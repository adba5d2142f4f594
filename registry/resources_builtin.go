package registry

// builtinTable lists every resource that kube-apiserver 1.37 stores, with the
// version in which a server with default flags answers, in the order of its
// discovery: groups by their priority (kubernetes cmd/kube-apiserver/app/aggregator.go and
// pkg/controlplane/apiserver/aggregator.go), resources by name. Short names
// and categories are those of pkg/registry/*/*/storage. The order decides what
// `all` lists first and which group an ambiguous word means.
func builtinTable() []Resource {
	return []Resource{
		namespaced("", "v1", "configmaps", "ConfigMap").short("cm"),
		namespaced("", "v1", "endpoints", "Endpoints").short("ep").at("services/endpoints"),
		namespaced("", "v1", "events", "Event").short("ev"),
		namespaced("", "v1", "limitranges", "LimitRange").short("limits"),
		clusterWide("", "v1", "namespaces", "Namespace").short("ns"),
		clusterWide("", "v1", "nodes", "Node").short("no").at("minions"),
		namespaced("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim").short("pvc"),
		clusterWide("", "v1", "persistentvolumes", "PersistentVolume").short("pv"),
		namespaced("", "v1", "pods", "Pod").short("po").in("all"),
		namespaced("", "v1", "podtemplates", "PodTemplate"),
		namespaced("", "v1", "replicationcontrollers", "ReplicationController").short("rc").in("all").at("controllers"),
		namespaced("", "v1", "resourcequotas", "ResourceQuota").short("quota"),
		namespaced("", "v1", "secrets", "Secret"),
		namespaced("", "v1", "serviceaccounts", "ServiceAccount").short("sa"),
		namespaced("", "v1", "services", "Service").short("svc").in("all").at("services/specs"),

		clusterWide("apiregistration.k8s.io", "v1", "apiservices", "APIService").in("api-extensions").
			at("apiregistration.k8s.io/apiservices"),

		namespaced("apps", "v1", "controllerrevisions", "ControllerRevision"),
		namespaced("apps", "v1", "daemonsets", "DaemonSet").short("ds").in("all"),
		namespaced("apps", "v1", "deployments", "Deployment").short("deploy").in("all"),
		namespaced("apps", "v1", "replicasets", "ReplicaSet").short("rs").in("all"),
		namespaced("apps", "v1", "statefulsets", "StatefulSet").short("sts").in("all"),

		namespaced("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler").short("hpa").in("all"),

		namespaced("batch", "v1", "cronjobs", "CronJob").short("cj").in("all"),
		namespaced("batch", "v1", "jobs", "Job").in("all"),

		clusterWide("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest").short("csr"),
		clusterWide("certificates.k8s.io", "v1", "clustertrustbundles", "ClusterTrustBundle"),
		namespaced("certificates.k8s.io", "v1", "podcertificaterequests", "PodCertificateRequest"),

		clusterWide("networking.k8s.io", "v1", "ingressclasses", "IngressClass"),
		namespaced("networking.k8s.io", "v1", "ingresses", "Ingress").short("ing").at("ingress"),
		clusterWide("networking.k8s.io", "v1", "ipaddresses", "IPAddress").short("ip"),
		namespaced("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy").short("netpol"),
		clusterWide("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR"),

		namespaced("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget").short("pdb"),

		clusterWide("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"),
		clusterWide("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole"),
		namespaced("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
		namespaced("rbac.authorization.k8s.io", "v1", "roles", "Role"),

		clusterWide("storage.k8s.io", "v1", "csidrivers", "CSIDriver"),
		clusterWide("storage.k8s.io", "v1", "csinodes", "CSINode"),
		namespaced("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity"),
		clusterWide("storage.k8s.io", "v1", "storageclasses", "StorageClass").short("sc"),
		clusterWide("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment"),
		clusterWide("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass").short("vac"),

		clusterWide("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy").in("api-extensions"),
		clusterWide("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding").in("api-extensions"),
		clusterWide("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration").in("api-extensions"),
		clusterWide("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy").in("api-extensions"),
		clusterWide("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding").in("api-extensions"),
		clusterWide("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration").in("api-extensions"),

		clusterWide("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition").short("crd", "crds").
			in("api-extensions").at("apiextensions.k8s.io/customresourcedefinitions"),

		namespaced("scheduling.k8s.io", "v1alpha3", "compositepodgroups", "CompositePodGroup"),
		namespaced("scheduling.k8s.io", "v1beta1", "podgroups", "PodGroup"),
		clusterWide("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass").short("pc"),
		namespaced("scheduling.k8s.io", "v1beta1", "workloads", "Workload"),

		namespaced("coordination.k8s.io", "v1beta1", "leasecandidates", "LeaseCandidate"),
		namespaced("coordination.k8s.io", "v1", "leases", "Lease"),

		clusterWide("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass"),

		namespaced("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),

		clusterWide("resource.k8s.io", "v1", "deviceclasses", "DeviceClass"),
		clusterWide("resource.k8s.io", "v1", "devicetaintrules", "DeviceTaintRule"),
		namespaced("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim"),
		namespaced("resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate"),
		clusterWide("resource.k8s.io", "v1alpha3", "resourcepoolstatusrequests", "ResourcePoolStatusRequest"),
		clusterWide("resource.k8s.io", "v1", "resourceslices", "ResourceSlice"),

		clusterWide("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema"),
		clusterWide("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration"),

		clusterWide("internal.apiserver.k8s.io", "v1alpha1", "storageversions", "StorageVersion"),

		clusterWide("storagemigration.k8s.io", "v1", "storageversionmigrations", "StorageVersionMigration"),

		namespaced("lifecycle.k8s.io", "v1alpha1", "evictionrequests", "EvictionRequest"),
		namespaced("lifecycle.k8s.io", "v1alpha1", "evictions", "Eviction"),
	}
}

// removedTable lists resources that older API servers stored and 1.37 knows no
// more. Their values keep metadata and raw bytes.
func removedTable() []Resource {
	return []Resource{
		clusterWide("policy", "v1beta1", "podsecuritypolicies", "PodSecurityPolicy").short("psp").at("podsecuritypolicy"),
		namespaced("settings.k8s.io", "v1alpha1", "podpresets", "PodPreset"),
		clusterWide("auditregistration.k8s.io", "v1alpha1", "auditsinks", "AuditSink"),
		clusterWide("extensions", "v1beta1", "thirdpartyresources", "ThirdPartyResource"),
		clusterWide("networking.k8s.io", "v1alpha1", "clustercidrs", "ClusterCIDR").short("cc"),
		namespaced("resource.k8s.io", "v1alpha1", "podschedulings", "PodScheduling"),
		namespaced("resource.k8s.io", "v1alpha3", "podschedulingcontexts", "PodSchedulingContext"),
		clusterWide("resource.k8s.io", "v1alpha2", "resourceclasses", "ResourceClass"),
		namespaced("resource.k8s.io", "v1alpha2", "resourceclassparameters", "ResourceClassParameters"),
		namespaced("resource.k8s.io", "v1alpha2", "resourceclaimparameters", "ResourceClaimParameters"),
		clusterWide("admissionregistration.k8s.io", "v1alpha1", "initializerconfigurations", "InitializerConfiguration"),
		clusterWide("admissionregistration.k8s.io", "v1alpha1", "externaladmissionhookconfigurations", "ExternalAdmissionHookConfiguration"),
	}
}

// cohabiting are resources that a second group serves from the same keys
// (kubernetes pkg/kubeapiserver/default_storage_factory_builder.go,
// AddCohabitatingResources).
func cohabiting(group, plural string) (string, bool) {
	switch group {
	case "events.k8s.io":
		return "", plural == "events"
	case "extensions":
		switch plural {
		case "deployments", "daemonsets", "replicasets":
			return "apps", true
		case "ingresses", "networkpolicies":
			return "networking.k8s.io", true
		case "podsecuritypolicies":
			return "policy", true
		}
	}
	return group, false
}

func namespaced(group, version, plural, kind string) Resource {
	r := clusterWide(group, version, plural, kind)
	r.Namespaced = true
	return r
}

func clusterWide(group, version, plural, kind string) Resource {
	return Resource{
		Group: group, Version: version, Plural: plural, Kind: kind,
		Singular: singularOf(kind), Prefix: plural,
	}
}

func (r Resource) short(names ...string) Resource { r.ShortNames = names; return r }
func (r Resource) in(category string) Resource    { r.Categories = []string{category}; return r }
func (r Resource) at(prefix string) Resource      { r.Prefix = prefix; return r }
