package registry

import (
	"cmp"
	"slices"

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
				by := stringAt(e.stored, "metadata", "labels", sliceManagedBy)
				managed := by == "endpointslice-controller.k8s.io" || by == "endpointslicemirroring-controller.k8s.io"
				// Before 1.18 there was no such label, but the same owner.
				service := stringAt(e.stored, "metadata", "labels", sliceServiceName)
				if managed || by == "" && controllerOf(e.stored) != nil && e.hasSelector(service) {
					e.leave("its controller finds the endpoints anew")
				}
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
				if !e.userSet(func(applied map[string]any) bool {
					return valueAt(applied, "spec", "healthCheckNodePort") != nil
				}, "spec", "healthCheckNodePort") {
					e.drop("spec", "healthCheckNodePort")
				}
			},
		},
		{
			ID: "service-ip-families", Kinds: kinds("Service"),
			Why:    "the one family was the old cluster's; a cluster of the other refuses it (\"not configured on this cluster\")",
			Source: "kubernetes pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
			apply: func(e *edit) {
				single := stringAt(e.stored, "spec", "ipFamilyPolicy")
				if (single == "" || single == "SingleStack") && !e.userSet(func(applied map[string]any) bool {
					return valueAt(applied, "spec", "ipFamilies") != nil
				}, "spec", "ipFamilies") && !e.keepsClusterIP() {
					e.drop("spec", "ipFamilies")
				}
			},
		},
	}
}

// hasSelector tells whether a Service of the same namespace finds its Pods by itself.
func (e *edit) hasSelector(service string) bool {
	id := identity{kindService, e.id.namespace, service}
	s := cmp.Or(e.byID[id], e.beside[id])
	return s != nil && s.selects
}

func leaveFoundEndpoints(e *edit) {
	annotations := mapAt(e.stored, "metadata", "annotations")
	switch {
	case annotations[leaderAnnotation] != nil:
		e.leave("it is the lock of a leader election")
	case stringAt(e.stored, "metadata", "labels", "endpoints.kubernetes.io/managed-by") == "endpoint-controller",
		annotations["endpoints.kubernetes.io/last-change-trigger-time"] != nil,
		e.hasSelector(e.id.name):
		e.leave("its controller finds the endpoints anew")
	}
}

// keepsClusterIP tells whether the address is the user's own: kube-dns, which
// every kubelet knows by its address, has one.
func (e *edit) keepsClusterIP() bool {
	return e.userSet(func(applied map[string]any) bool {
		return stringAt(applied, "spec", "clusterIP") != "" || len(listAt(applied, "spec", "clusterIPs")) > 0
	}, "spec", "clusterIP")
}

func dropClusterIP(e *edit) {
	ip := stringAt(e.stored, "spec", "clusterIP")
	switch {
	case ip == "None" || ip == "" && len(listAt(e.stored, "spec", "clusterIPs")) == 0:
	case e.keepsClusterIP():
		if !e.isManifest() {
			e.note("keeps the cluster IP that a user gave it; a cluster with other Service networks refuses it")
		}
	default:
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
		if !e.userSet(applied, "spec", "ports", key, "nodePort") {
			e.drop("spec", "ports", i, "nodePort")
		}
	}
}

// hasPort tells whether a Service port names a node port.
func hasPort(port any) bool {
	v := valueAt(port, "nodePort")
	return v != nil && v != int64(0)
}
