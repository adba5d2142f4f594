package printer

import (
	"k8s.io/apimachinery/pkg/runtime"
	pvcutil "k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/apis/core"
	netutil "k8s.io/utils/net"
)

// touchUp does what the API server's storages do to objects on the way out,
// for values written before a field had its younger twin
// (pkg/registry/core/{service,persistentvolumeclaim}/storage, defaultOnRead).
func touchUp(obj runtime.Object) {
	switch o := obj.(type) {
	case *core.PersistentVolumeClaim:
		pvcutil.NormalizeDataSources(&o.Spec)
	case *core.Service:
		touchUpService(&o.Spec)
	}
}

func touchUpService(spec *core.ServiceSpec) {
	if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	if spec.Type == core.ServiceTypeExternalName {
		spec.InternalTrafficPolicy = nil
		return
	}
	// A headless Service's families come from the server's own flags, which are
	// not in the backup: they stay unset.
	if len(spec.IPFamilies) > 0 || spec.ClusterIP == core.ClusterIPNone {
		return
	}
	for _, ip := range spec.ClusterIPs {
		family := core.IPv4Protocol
		if netutil.IsIPv6String(ip) {
			family = core.IPv6Protocol
		}
		spec.IPFamilies = append(spec.IPFamilies, family)
	}
	policies := []core.IPFamilyPolicy{core.IPFamilyPolicySingleStack, core.IPFamilyPolicyRequireDualStack}
	if n := len(spec.IPFamilies); n == 1 || n == 2 {
		spec.IPFamilyPolicy = &policies[n-1]
	}
}
