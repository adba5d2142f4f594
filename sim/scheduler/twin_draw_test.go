package scheduler_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func drawCluster(rt *rapid.T) scheduler.Objects {
	var c scheduler.Objects
	n := rapid.IntRange(1, 12).Draw(rt, "nodes")
	for i := range n {
		node := node(fmt.Sprintf("n%02d", i), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(rt, "zone"))
		node.Spec.Unschedulable = rapid.IntRange(0, 9).Draw(rt, "cordoned") == 0
		if effect := rapid.SampledFrom([]corev1.TaintEffect{"", "", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule}).Draw(rt, "taint"); effect != "" {
			node.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "x", Effect: effect}}
		}
		if rapid.Bool().Draw(rt, "ssd") {
			node.Labels["disk"] = "ssd"
		}
		c.Nodes = append(c.Nodes, node)
	}
	for i := range rapid.IntRange(0, 20).Draw(rt, "bound") {
		p := drawPod(rt, fmt.Sprintf("old-%02d", i))
		p.Spec.NodeName = fmt.Sprintf("n%02d", rapid.IntRange(0, n-1).Draw(rt, "on"))
		c.Pods = append(c.Pods, p)
	}
	for _, app := range []string{"web", "db"} {
		c.Others = append(c.Others, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: app},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": app}},
		})
	}
	c.Others = append(c.Others, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	c.Others = append(c.Others, drawVolumes(rt, n)...)
	c.Others = append(c.Others, drawWaiting(rt, n)...)
	c.Others = append(c.Others, drawDevices(rt, n)...)
	return c
}

// drawVolumes makes two bound claims on local volumes, and none for the third.
func drawVolumes(rt *rapid.T, n int) []runtime.Object {
	var objects []runtime.Object
	class := "local"
	for i := range 2 {
		name := fmt.Sprintf("data-%d", i)
		home := fmt.Sprintf("n%02d", rapid.IntRange(0, n-1).Draw(rt, "home"))
		size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		objects = append(objects,
			&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name}, Spec: corev1.PersistentVolumeSpec{
				Capacity: size, AccessModes: modes, StorageClassName: class,
				PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
				ClaimRef:               &corev1.ObjectReference{Namespace: "default", Name: name},
				NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{home}}},
				}}}},
			}},
			&corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
				Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: &class, VolumeName: "pv-" + name, Resources: corev1.VolumeResourceRequirements{Requests: size}},
				Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
			},
		)
	}
	return objects
}

// waiting is the claim that is not bound before its first consumer has a node.
const waiting = "waiting"

// drawWaiting makes that claim, for a volume that a driver makes on any node, or
// for one of the local volumes that are there.
func drawWaiting(rt *rapid.T, n int) []runtime.Object {
	mode, provisioner := storagev1.VolumeBindingWaitForFirstConsumer, rapid.SampledFrom([]string{"driver.example", "kubernetes.io/no-provisioner"}).Draw(rt, "provisioner")
	class := "late"
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	objects := []runtime.Object{
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: provisioner, VolumeBindingMode: &mode},
		&corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: waiting},
			Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: size}},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
		},
	}
	for i := range n {
		if rapid.IntRange(0, 2).Draw(rt, "free volume") > 0 {
			continue
		}
		objects = append(objects, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("free-%d", i)}, Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, StorageClassName: class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{fmt.Sprintf("n%02d", i)}}},
			}}}},
		}})
	}
	return objects
}

// deviceClaims is how many claims of devices there are.
const deviceClaims = 3

// drawDevices puts a few devices on some nodes, and makes claims on them.
func drawDevices(rt *rapid.T, n int) []runtime.Object {
	objects := []runtime.Object{&resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}}
	for i := range n {
		node := fmt.Sprintf("n%02d", i)
		slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice-" + node}, Spec: resourcev1.ResourceSliceSpec{
			Driver: "gpu.example", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, ResourceSliceCount: 1},
		}}
		for j := range rapid.IntRange(0, 2).Draw(rt, "devices") {
			slice.Spec.Devices = append(slice.Spec.Devices, resourcev1.Device{Name: fmt.Sprintf("gpu-%d", j)})
		}
		objects = append(objects, slice)
	}
	for i := range deviceClaims {
		objects = append(objects, &resourcev1.ResourceClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("gpu-%d", i), UID: types.UID(fmt.Sprintf("claim-%d", i)), ResourceVersion: "1"},
			Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
				Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: int64(1 + i%2)},
			}}}},
		})
	}
	return objects
}

// drawPod makes a Pod that asks for a few of the things that filters and
// scores look at.
func drawPod(rt *rapid.T, name string) *corev1.Pod {
	p := pod(name, int64(rapid.IntRange(0, 30).Draw(rt, "cpu"))*100, withPriority(int32(rapid.IntRange(0, 3).Draw(rt, "priority"))))
	app := rapid.SampledFrom([]string{"web", "db", "other"}).Draw(rt, "app")
	p.Labels = map[string]string{"app": app}
	selector := &metav1.LabelSelector{MatchLabels: p.Labels}
	key := rapid.SampledFrom([]string{corev1.LabelHostname, corev1.LabelTopologyZone}).Draw(rt, "key")
	term := corev1.PodAffinityTerm{LabelSelector: selector, TopologyKey: key}
	p.Spec.Affinity = &corev1.Affinity{}
	switch rapid.IntRange(0, 12).Draw(rt, "wish") {
	case 0:
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	case 1:
		p.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}
	case 2:
		p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 10, PodAffinityTerm: term}}}
	case 3, 4:
		when := rapid.SampledFrom([]corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}).Draw(rt, "when")
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: when, LabelSelector: selector}}
	case 5:
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 8080, ContainerPort: 80, Protocol: corev1.ProtocolTCP}}
	case 6:
		p.Spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
	case 7:
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprintf("data-%d", rapid.IntRange(0, 2).Draw(rt, "claim"))},
		}}}
	case 10:
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: waiting},
		}}}
	case 11, 12:
		claim := fmt.Sprintf("gpu-%d", rapid.IntRange(0, deviceClaims-1).Draw(rt, "device"))
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: &claim}}
	case 8:
		p.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 5, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}}},
		}}}
	}
	return p
}
