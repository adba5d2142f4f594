// Package nodeloss tells what happens, and when, after a node is lost: to
// each Pod that stood on it, by the arithmetic of Kubernetes' own controllers.
//
//	T0 ─► detected ─► NoExecute taint ─► evicted ─► replacement ─► volume free ─► back
//	      endpoints drop      the Pod's own           the scheduler's
//	      at the same moment  tolerationSeconds       answer, given by the caller
//
// [Tuning] holds the flags that decide; [Tuning.Detection] the first arrow,
// [Forecast] all of them. The constants come from Kubernetes v1.37.1:
//
//	40 s, a quarter     kubelet: NodeLeaseDurationSeconds, nodeLeaseRenewIntervalFraction, jitter 0.04
//	5 s, 50 s           pkg/controller/nodelifecycle/config/v1alpha1/defaults.go (40 s up to 1.31)
//	0.1/s, 0.01/s       --node-eviction-rate, --secondary-node-eviction-rate, burst 1
//	55 %, 50 nodes      --unhealthy-zone-threshold, --large-cluster-size-threshold
//	6 min               pkg/controller/volume/attachdetach/attach_detach_controller.go
//	30 s                pkg/kubelet/kubelet.go maxWaitForContainerRuntime
//
// Nodes that are lost together are treated as found together. Of a zone that
// is partly down a few may be found, tainted and emptied before the controller
// has counted: [Report].Early says how many.
//
// Not modelled: the time of an API request, of a pull and of a container's
// start. All times are therefore what must pass, not what will.
package nodeloss
