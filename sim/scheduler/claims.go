package scheduler

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/storage/ephemeral"
)

// claimMaker plays the controllers that make claims for single Pods: the one of
// generic ephemeral volumes, the one of ResourceClaimTemplates, and where a
// StorageClass binds at once the provisioner behind it.
type claimMaker struct {
	volumes   map[string]*corev1.PersistentVolumeClaim // by namespace/name, as all below
	devices   map[string]*resourcev1.ResourceClaim
	templates map[string]*resourcev1.ResourceClaimTemplate
	classes   map[string]*storagev1.StorageClass
	byDefault *storagev1.StorageClass // of claims that name no class; nil for none
}

func newClaimMaker(others []runtime.Object) *claimMaker {
	m := &claimMaker{
		volumes: map[string]*corev1.PersistentVolumeClaim{}, devices: map[string]*resourcev1.ResourceClaim{},
		templates: map[string]*resourcev1.ResourceClaimTemplate{}, classes: map[string]*storagev1.StorageClass{},
	}
	for _, obj := range others {
		switch obj := obj.(type) {
		case *corev1.PersistentVolumeClaim:
			m.volumes[obj.Namespace+"/"+obj.Name] = obj
		case *resourcev1.ResourceClaim:
			m.devices[obj.Namespace+"/"+obj.Name] = obj
		case *resourcev1.ResourceClaimTemplate:
			m.templates[obj.Namespace+"/"+obj.Name] = obj
		case *storagev1.StorageClass:
			m.addClass(obj)
		}
	}
	return m
}

// addClass knows a class. Of several defaults the newest counts, then the name
// (pkg/volume/util/storageclass.go).
func (m *claimMaker) addClass(class *storagev1.StorageClass) {
	m.classes[class.Name] = class
	if class.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" && class.Annotations["storageclass.beta.kubernetes.io/is-default-class"] != "true" {
		return
	}
	best := m.byDefault
	if best == nil || class.CreationTimestamp.After(best.CreationTimestamp.Time) ||
		class.CreationTimestamp.Equal(&best.CreationTimestamp) && class.Name < best.Name {
		m.byDefault = class
	}
}

// provide gives a Pod that has no node the claims that it still waits for. One
// that has all it needs is returned as it is.
func (m *claimMaker) provide(pod *corev1.Pod) (*corev1.Pod, []runtime.Object) {
	var made []runtime.Object
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if name := ephemeral.VolumeClaimName(pod, v); v.Ephemeral != nil && m.volumes[pod.Namespace+"/"+name] == nil {
			made = append(made, m.volumeClaim(pod, v, name)...)
		}
	}
	given := pod
	for _, ref := range pod.Spec.ResourceClaims {
		if ref.ResourceClaimTemplateName == nil || deviceClaimOf(pod, ref.Name) != "" {
			continue
		}
		template := m.templates[pod.Namespace+"/"+*ref.ResourceClaimTemplateName]
		if template == nil {
			continue // its controller waits, too, and the scheduler says so
		}
		if given == pod {
			given = pod.DeepCopy()
		}
		made = append(made, deviceClaim(given, ref.Name, pod.Name+"-"+ref.Name, template.Spec.Spec))
	}
	return given, made
}

// succeed is the Pod that a controller makes in the place of another, with new
// claims. They get names of their own: the old Pod, and with it its claims, may
// be there still.
func (m *claimMaker) succeed(pod *corev1.Pod) (*corev1.Pod, []runtime.Object) {
	again := Successor(pod)
	var made []runtime.Object
	for i := range again.Spec.Volumes {
		v := &again.Spec.Volumes[i]
		if v.Ephemeral == nil {
			continue
		}
		name := ephemeral.VolumeClaimName(pod, v) + successorSuffix
		made = append(made, m.volumeClaim(again, v, name)...)
		// To the scheduler a claim by name is the same, but for its owner.
		v.VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	for _, ref := range again.Spec.ResourceClaims {
		if ref.ResourceClaimTemplateName == nil {
			continue
		}
		var spec *resourcev1.ResourceClaimSpec
		if old := m.devices[pod.Namespace+"/"+deviceClaimOf(pod, ref.Name)]; old != nil {
			spec = &old.Spec // what the template was when the Pod was made
		}
		if template := m.templates[pod.Namespace+"/"+*ref.ResourceClaimTemplateName]; template != nil {
			spec = &template.Spec.Spec
		}
		if spec != nil {
			made = append(made, deviceClaim(again, ref.Name, pod.Name+"-"+ref.Name+successorSuffix, *spec))
		}
	}
	return again, made
}

// volumeClaim is the claim of a generic ephemeral volume, and the volume where
// the class does not wait for the Pod.
func (m *claimMaker) volumeClaim(pod *corev1.Pod, v *corev1.Volume, name string) []runtime.Object {
	template := v.Ephemeral.VolumeClaimTemplate
	if template == nil {
		return nil
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: name, UID: types.UID("claim-" + pod.Namespace + "/" + name),
			Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations), OwnerReferences: ownedByPod(pod),
		},
		Spec:   *template.Spec.DeepCopy(),
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	class := m.byDefault
	if claim.Spec.StorageClassName != nil {
		class = m.classes[*claim.Spec.StorageClassName]
	} else if class != nil {
		claim.Spec.StorageClassName = &class.Name
	}
	if class == nil || class.Provisioner == "kubernetes.io/no-provisioner" || class.VolumeBindingMode != nil && *class.VolumeBindingMode != storagev1.VolumeBindingImmediate {
		return []runtime.Object{claim}
	}
	volume := provisioned(claim, class)
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	claim.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
	claim.Spec.VolumeName, claim.Status.Phase = volume.Name, corev1.ClaimBound
	return []runtime.Object{claim, volume}
}

// provisioned is what a class that binds at once has made before the Pod is
// looked at. Where it stands is not known beyond the class' own topologies.
func provisioned(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "for-" + claim.Namespace + "-" + claim.Name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]}, AccessModes: claim.Spec.AccessModes,
			ClaimRef:         &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			StorageClassName: class.Name,
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: class.Provisioner, VolumeHandle: volume.Name}
	if len(class.AllowedTopologies) == 0 {
		return volume
	}
	where := &corev1.NodeSelector{}
	for _, topology := range class.AllowedTopologies {
		var term corev1.NodeSelectorTerm
		for _, label := range topology.MatchLabelExpressions {
			term.MatchExpressions = append(term.MatchExpressions, corev1.NodeSelectorRequirement{Key: label.Key, Operator: corev1.NodeSelectorOpIn, Values: label.Values})
		}
		where.NodeSelectorTerms = append(where.NodeSelectorTerms, term)
	}
	volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: where}
	return volume
}

// deviceClaim makes a ResourceClaim, and notes it in the Pod's status.
func deviceClaim(pod *corev1.Pod, ref, name string, spec resourcev1.ResourceClaimSpec) *resourcev1.ResourceClaim {
	pod.Status.ResourceClaimStatuses = append(pod.Status.ResourceClaimStatuses, corev1.PodResourceClaimStatus{Name: ref, ResourceClaimName: &name})
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: name, UID: types.UID("device-" + pod.Namespace + "/" + name),
			Annotations: map[string]string{"resource.kubernetes.io/pod-claim-name": ref}, OwnerReferences: ownedByPod(pod),
		},
		Spec: *spec.DeepCopy(),
	}
}

func ownedByPod(pod *corev1.Pod) []metav1.OwnerReference {
	controls := true
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &controls, BlockOwnerDeletion: &controls}}
}

// deviceClaimOf is the claim that stands behind an entry of a Pod, "" for none.
func deviceClaimOf(pod *corev1.Pod, ref string) string {
	for _, status := range pod.Status.ResourceClaimStatuses {
		if status.Name == ref && status.ResourceClaimName != nil {
			return *status.ResourceClaimName
		}
	}
	return ""
}

// release is what the same controllers do once Pods are gone for good: their own
// claims go with them, shared ones are free when nobody else holds them.
func release(others []runtime.Object, gone map[types.UID]bool) []runtime.Object {
	kept := make([]runtime.Object, 0, len(others))
	for _, obj := range others {
		if meta, ok := obj.(metav1.Object); ok && ownedByOneOf(meta, gone) {
			continue
		}
		if claim, ok := obj.(*resourcev1.ResourceClaim); ok {
			obj = freed(claim, gone)
		}
		kept = append(kept, obj)
	}
	return kept
}

func ownedByOneOf(obj metav1.Object, gone map[types.UID]bool) bool {
	owner := metav1.GetControllerOfNoCopy(obj)
	return owner != nil && owner.Kind == "Pod" && gone[owner.UID]
}

func freed(claim *resourcev1.ResourceClaim, gone map[types.UID]bool) *resourcev1.ResourceClaim {
	holds := func(r resourcev1.ResourceClaimConsumerReference) bool { return r.Resource == "pods" && gone[r.UID] }
	if !slices.ContainsFunc(claim.Status.ReservedFor, holds) {
		return claim
	}
	free := claim.DeepCopy()
	if free.Status.ReservedFor = slices.DeleteFunc(free.Status.ReservedFor, holds); len(free.Status.ReservedFor) == 0 {
		free.Status.ReservedFor, free.Status.Allocation = nil, nil
	}
	return free
}
