package registry

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

const (
	sliceManagedBy   = "endpointslice.kubernetes.io/managed-by"
	sliceServiceName = "kubernetes.io/service-name"
	leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
)

// serviceRules give back to the cluster what it allocates for Services, and
// the endpoints that it finds for them.
func serviceRules() []Rule {
	return []Rule{
		{
			ID: "service-kubernetes", Kinds: kinds("Service", "Endpoints", "EndpointSlice.discovery.k8s.io"),
			Why:    "the API servers make and own the Service default/kubernetes",
			Source: "kubernetes pkg/controlplane/controller/kubernetesservice; crane#308",
			apply: func(e *edit) {
				service := e.id.name
				if e.id.kind.Kind == "EndpointSlice" {
					service = stringAt(e.stored, "metadata", "labels", sliceServiceName)
				}
				if e.id.namespace == "default" && service == "kubernetes" {
					e.leave("the API servers make it at start")
				}
			},
		},
		{
			ID: "endpoints-found", Kinds: kinds("Endpoints"),
			Why:    "the endpoints controller finds them by the Service's selector; old addresses lead to foreign Pods. Those written by hand are kept",
			Source: "kubernetes pkg/controller/endpoint/endpoints_controller.go; velero#6280",
			apply:  leaveFoundEndpoints,
		},
		{
			ID: "endpoint-slice-managed", Kinds: kinds("EndpointSlice.discovery.k8s.io"),
			Why:    "its controller writes it from Pods or mirrors it from Endpoints; old addresses lead to foreign Pods. Slices written by hand are kept",
			Source: "kubernetes pkg/controller/endpointslice, endpointslicemirroring",
			apply: func(e *edit) {
				leaveFoundSlice(e)
			},
		},
		{
			ID: "service-cluster-ip", Kinds: kinds("Service"),
			Why:    "the address was allocated and may be another's by now. clusterIPs goes with clusterIP: one without the other is invalid. None (headless) and addresses set by a user are kept",
			Source: "kubernetes pkg/apis/core/validation/validation.go, ValidateServiceClusterIPsRelatedFields",
			apply:  dropClusterIP,
		},
		{
			ID: "service-node-port", Kinds: kinds("Service"),
			Why:    "an allocated port may be another's by now. A port that managedFields or the last applied configuration prove to be the user's is kept",
			Source: "kubernetes pkg/registry/core/service/storage/alloc.go; velero pkg/restore/actions/service_action.go",
			apply:  dropNodePorts,
		},
		{
			ID: "service-health-check-node-port", Kinds: kinds("Service"),
			Why:    "as service-node-port",
			Source: "kubernetes pkg/registry/core/service/storage/alloc.go, allocHealthCheckNodePort",
			apply: func(e *edit) {
				if !e.keepNodePorts && !e.userSet(func(applied map[string]any) bool {
					return valueAt(applied, "spec", "healthCheckNodePort") != nil
				}, "spec", "healthCheckNodePort") {
					e.drop("spec", "healthCheckNodePort")
				}
			},
		},
		{
			ID: "service-ip-families", Kinds: kinds("Service"),
			Why:    "the families were the old cluster's; one without them refuses them (\"not configured on this cluster\"). Who requires both is refused there in any case",
			Source: "kubernetes pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
			apply: func(e *edit) {
				if stringAt(e.stored, "spec", "ipFamilyPolicy") != "RequireDualStack" && !e.userSet(func(applied map[string]any) bool {
					return valueAt(applied, "spec", "ipFamilies") != nil
				}, "spec", "ipFamilies") && !e.keepsClusterIP() {
					e.drop("spec", "ipFamilies")
				}
			},
		},
	}
}

// neighbour is the readable object of a kind and name in the same namespace,
// whether it was asked for or not.
func (e *edit) neighbour(kind schema.GroupKind, name string) *member {
	id := identity{kind, e.id.namespace, name}
	if m := cmp.Or(e.byID[id], e.beside[id]); m != nil && m.readable {
		return m
	}
	return nil
}

// The Service decides who writes its endpoints: with a selector a controller
// does, without one a person. Labels and annotations of a controller stay where
// a Service lost its selector; they count where there is no Service.
func leaveFoundEndpoints(e *edit) {
	annotations, service := mapAt(e.stored, "metadata", "annotations"), e.neighbour(kindService, e.id.name)
	switch {
	case annotations[leaderAnnotation] != nil:
		e.leave("it is the lock of a leader election")
	case service != nil && !service.selects:
	case service != nil,
		stringAt(e.stored, "metadata", "labels", "endpoints.kubernetes.io/managed-by") == "endpoint-controller",
		annotations["endpoints.kubernetes.io/last-change-trigger-time"] != nil:
		e.leave("its controller finds the endpoints anew")
	}
}

func leaveFoundSlice(e *edit) {
	by, name := stringAt(e.stored, "metadata", "labels", sliceManagedBy), stringAt(e.stored, "metadata", "labels", sliceServiceName)
	service := e.neighbour(kindService, name)
	const found, mirrored = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
	switch {
	case by == mirrored && e.neighbour(kindEndpoints, name) != nil:
		e.leave("its controller mirrors it from Endpoints %q", name)
	case service == nil && (by == found || by == mirrored), service != nil && service.selects && by == found:
		e.leave("its controller finds the endpoints anew")
	case service != nil && service.selects && by == "" && controllerOf(e.stored) != nil:
		// Before 1.18 there was no such label, but the same owner.
		e.leave("its controller finds the endpoints anew")
	case by == found || by == mirrored:
		// Written by hand now: a controller that finds its label would clean up.
		e.drop("metadata", "labels", sliceManagedBy)
	}
}

// keepsClusterIP tells whether the address is the user's own: kube-dns, which
// every kubelet knows by its address, has one.
func (e *edit) keepsClusterIP() bool {
	return e.userSet(func(applied map[string]any) bool {
		return stringAt(applied, "spec", "clusterIP") != "" || len(listAt(applied, "spec", "clusterIPs")) > 0
	}, "spec", "clusterIP")
}

const keptAddress = "keeps the cluster IP that a user gave it; a cluster with other Service networks refuses it"

func dropClusterIP(e *edit) {
	ip := stringAt(e.stored, "spec", "clusterIP")
	switch {
	case ip == "None" || ip == "" && len(listAt(e.stored, "spec", "clusterIPs")) == 0:
	case e.keepsClusterIP():
		if !e.isManifest() {
			e.note(keptAddress)
		}
	default:
		if !e.hasEvidence() {
			e.note("cluster IP %q was dropped: nothing tells whether a user chose it or the cluster", ip)
		}
		e.drop("spec", "clusterIP")
		e.drop("spec", "clusterIPs")
	}
}

func dropNodePorts(e *edit) {
	for i, port := range listAt(e.stored, "spec", "ports") {
		number, protocol := valueAt(port, "port"), stringAt(port, "protocol")
		if protocol == "" {
			protocol = "TCP"
		}
		applied := func(applied map[string]any) bool {
			return slices.ContainsFunc(listAt(applied, "spec", "ports"), func(p any) bool {
				given := stringAt(p, "protocol")
				return valueAt(p, "port") == number && (given == protocol || given == "" && protocol == "TCP") && hasPort(p)
			})
		}
		if !hasPort(port) {
			continue
		}
		if _, ok := number.(int64); !ok {
			number = int64(0)
		}
		key := fieldpath.KeyByFields("port", number, "protocol", protocol)
		if e.keepNodePorts || e.userSet(applied, "spec", "ports", key, "nodePort") {
			continue
		}
		if !e.hasEvidence() {
			e.note("node port %d was dropped: nothing tells whether a user chose it or the cluster; extract --keep node-ports keeps it", valueAt(port, "nodePort"))
		}
		e.drop("spec", "ports", i, "nodePort")
	}
}

// hasPort tells whether a Service port names a node port.
func hasPort(port any) bool {
	v := valueAt(port, "nodePort")
	return v != nil && v != int64(0)
}
