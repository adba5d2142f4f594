package nodeloss

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// volumes looks up what Pods hold on to.
type volumes struct {
	claims map[string]*corev1.PersistentVolumeClaim // by namespace/name
	byName map[string]*corev1.PersistentVolume
}

func newVolumes(objects []runtime.Object) volumes {
	v := volumes{claims: map[string]*corev1.PersistentVolumeClaim{}, byName: map[string]*corev1.PersistentVolume{}}
	for _, obj := range objects {
		switch obj := obj.(type) {
		case *corev1.PersistentVolumeClaim:
			v.claims[obj.Namespace+"/"+obj.Name] = obj
		case *corev1.PersistentVolume:
			v.byName[obj.Name] = obj
		}
	}
	return v
}

// of names the first of a Pod's claims whose volume is local to a node, and
// the first that only one node at a time may attach.
func (v volumes) of(pod *corev1.Pod) (local, attached string) {
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		name := volume.PersistentVolumeClaim.ClaimName
		claim := v.claims[pod.Namespace+"/"+name]
		if claim == nil {
			continue
		}
		pv := v.byName[claim.Spec.VolumeName]
		switch {
		case pv != nil && (pv.Spec.Local != nil || pv.Spec.HostPath != nil):
			local = firstOf(local, name)
		case slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteMany) || slices.Contains(claim.Spec.AccessModes, corev1.ReadOnlyMany):
		default:
			attached = firstOf(attached, name)
		}
	}
	return local, attached
}

func firstOf(known, name string) string {
	if known != "" {
		return known
	}
	return name
}
