package registry

import (
	"regexp"
	"slices"
	"strings"
)

// podRules make a Pod that stands alone one that no scheduler and no kubelet
// has seen yet. Pods of controllers are left out before (childRules); the
// templates of workloads are a user's and stay as they are.
func podRules() []Rule {
	pod := kinds("Pod")
	dropFields := func(id, why, source string, fields ...string) Rule {
		return Rule{ID: id, Kinds: pod, Why: why, Source: source, apply: func(e *edit) {
			for _, field := range fields {
				e.drop("spec", field)
			}
		}}
	}
	return []Rule{
		{
			ID: "pod-node-name", Kinds: pod,
			Why:    "the scheduler set it; the node may be gone. One that a user set is kept",
			Source: "kubernetes pkg/registry/core/pod/storage/storage.go, BindingREST",
			apply: func(e *edit) {
				if !e.userSet(func(applied map[string]any) bool { return stringAt(applied, "spec", "nodeName") != "" }, "spec", "nodeName") {
					e.drop("spec", "nodeName")
				}
			},
		},
		{
			ID: "pod-topology-labels", Kinds: pod,
			Why:    "copied from the node at binding; on another node they would be wrong",
			Source: "kubernetes plugin/pkg/admission/podtopologylabels, KEP-4742",
			apply:  dropTopologyLabels,
		},
		dropFields("pod-priority", "admission computes both from the PriorityClass and refuses others",
			"kubernetes plugin/pkg/admission/priority/admission.go", "priority", "preemptionPolicy"),
		{
			ID: "pod-ephemeral-containers", Kinds: pod,
			Why:    "\"cannot be set on create\" (velero#10340)",
			Source: "kubernetes pkg/apis/core/validation/validation.go, ValidatePodCreate",
			apply:  func(e *edit) { e.drop("spec", "ephemeralContainers") },
		},
		{
			ID: "pod-overhead", Kinds: pod,
			Why:    "admission sets it from the RuntimeClass and refuses another",
			Source: "kubernetes plugin/pkg/admission/runtimeclass/admission.go",
			apply: func(e *edit) {
				if stringAt(e.stored, "spec", "runtimeClassName") != "" {
					e.drop("spec", "overhead")
				}
			},
		},
		{
			ID: "pod-token-volume", Kinds: pod,
			Why:    "admission mounts a new token; the Secret of an old <account>-token volume is gone",
			Source: "kubernetes plugin/pkg/admission/serviceaccount/admission.go",
			apply:  dropTokenVolumes,
		},
		{
			ID: "pod-default-tolerations", Kinds: pod,
			Why:    "admission adds the cluster's own seconds for not-ready and unreachable nodes where there are none",
			Source: "kubernetes plugin/pkg/admission/defaulttolerationseconds",
			apply:  dropDefaultTolerations,
		},
		{
			ID: "pod-runtime-annotations", Kinds: pod,
			Why:    "admission, the network plugin or the kubelet wrote it about the old Pod; a plugin may take an address in it for an order (crane#614)",
			Source: "kubernetes plugin/pkg/admission/limitranger; projectcalico/calico, k8snetworkplumbingwg/multus-cni",
			apply: func(e *edit) {
				for _, key := range []string{
					"kubernetes.io/limit-ranger", "kubernetes.io/psp", "openshift.io/scc",
					"cni.projectcalico.org/containerID", "cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs",
					"k8s.v1.cni.cncf.io/network-status", "k8s.v1.cni.cncf.io/networks-status",
					"k8s.ovn.org/pod-networks",
					"kubernetes.io/config.hash", "kubernetes.io/config.seen", "kubernetes.io/config.source",
				} {
					e.drop("metadata", "annotations", key)
				}
			},
		},
	}
}

func dropTopologyLabels(e *edit) {
	for _, key := range []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone"} {
		given := func(applied map[string]any) bool { return valueAt(applied, "metadata", "labels", key) != nil }
		if !e.userSet(given, "metadata", "labels", key) {
			e.drop("metadata", "labels", key)
		}
	}
}

// accessVolume is the name that admission gives the projected volume of a token.
var accessVolume = regexp.MustCompile(`^kube-api-access-[a-z0-9]{5}$`)

// dropTokenVolumes drops the volumes that admission added, with their mounts.
func dropTokenVolumes(e *edit) {
	prefix := stringAt(e.stored, "spec", "serviceAccountName") + "-token-"
	tokens := map[string]bool{}
	isToken := func(volume any) bool {
		name := stringAt(volume, "name")
		projected := accessVolume.MatchString(name) && slices.ContainsFunc(listAt(volume, "projected", "sources"), func(source any) bool {
			return valueAt(source, "serviceAccountToken") != nil
		})
		suffix, ok := strings.CutPrefix(name, prefix)
		old := ok && isRandom(suffix) && stringAt(volume, "secret", "secretName") == name
		return projected || old
	}
	for _, volume := range listAt(e.stored, "spec", "volumes") {
		if isToken(volume) {
			tokens[stringAt(volume, "name")] = true
		}
	}
	if len(tokens) == 0 {
		return
	}
	e.dropItems(isToken, "spec", "volumes")
	for _, field := range []string{"initContainers", "containers"} {
		for i := range listAt(e.content, "spec", field) {
			e.dropItems(func(mount any) bool { return tokens[stringAt(mount, "name")] }, "spec", field, i, "volumeMounts")
		}
	}
}

// dropDefaultTolerations drops what the admission plugin adds, unless the last
// applied configuration has it: in managedFields the list is one field.
func dropDefaultTolerations(e *edit) {
	if e.isManifest() {
		return
	}
	applied := listAt(e.evidence().lastApplied, "spec", "tolerations")
	isDefault := func(t any) bool {
		key := stringAt(t, "key")
		return (key == "node.kubernetes.io/not-ready" || key == "node.kubernetes.io/unreachable") &&
			stringAt(t, "operator") == "Exists" && stringAt(t, "effect") == "NoExecute" &&
			valueAt(t, "tolerationSeconds") == int64(300) && stringAt(t, "value") == ""
	}
	e.dropItems(func(t any) bool {
		return isDefault(t) && !slices.ContainsFunc(applied, func(a any) bool { return stringAt(a, "key") == stringAt(t, "key") })
	}, "spec", "tolerations")
}
