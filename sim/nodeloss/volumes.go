package nodeloss

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	csitrans "k8s.io/csi-translation-lib"
	"k8s.io/klog/v2"
)

// volumes looks up what Pods hold on to.
type volumes struct {
	claims  map[string]*corev1.PersistentVolumeClaim // by namespace/name
	byName  map[string]*corev1.PersistentVolume
	drivers map[string]*storagev1.CSIDriver
	inTree  csitrans.CSITranslator
}

func newVolumes(objects []runtime.Object) volumes {
	v := volumes{
		claims: map[string]*corev1.PersistentVolumeClaim{}, byName: map[string]*corev1.PersistentVolume{},
		drivers: map[string]*storagev1.CSIDriver{}, inTree: csitrans.New(),
	}
	for _, obj := range objects {
		switch obj := obj.(type) {
		case *corev1.PersistentVolumeClaim:
			v.claims[obj.Namespace+"/"+obj.Name] = obj
		case *corev1.PersistentVolume:
			v.byName[obj.Name] = obj
		case *storagev1.CSIDriver:
			v.drivers[obj.Name] = obj
		}
	}
	return v
}

// held is what a Pod's volumes mean for its successor, each the first of its kind.
type held struct {
	local    string // stands on the lost node alone
	attached string // attached to the lost node, and no other may attach it meanwhile
	fresh    string // made anew, empty
}

func (v volumes) of(pod *corev1.Pod) (h held) {
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		switch {
		case volume.Ephemeral != nil: // the successor gets a claim of its own
			h.fresh = firstOf(h.fresh, volume.Name)
		case volume.PersistentVolumeClaim == nil:
			if v.attachesInline(volume, pod.Namespace) {
				h.attached = firstOf(h.attached, volume.Name)
			}
		default:
			v.claimed(&h, pod.Namespace, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return h
}

func (v volumes) claimed(h *held, namespace, name string) {
	claim := v.claims[namespace+"/"+name]
	if claim == nil {
		return
	}
	pv := v.byName[claim.Spec.VolumeName]
	switch {
	case pv == nil:
		if exclusive(claim.Spec.AccessModes) { // what is behind it is not known: the safe side
			h.attached = firstOf(h.attached, name)
		}
	case pv.Spec.Local != nil || pv.Spec.HostPath != nil:
		h.local = firstOf(h.local, name)
	case v.attaches(pv) && exclusive(pv.Spec.AccessModes):
		h.attached = firstOf(h.attached, name)
	}
}

// exclusive says whether the attach-detach controller keeps a volume from a
// second node (IsMultiAttachAllowed in pkg/volume/util/util.go).
func exclusive(modes []corev1.PersistentVolumeAccessMode) bool {
	return len(modes) > 0 && !slices.Contains(modes, corev1.ReadWriteMany) && !slices.Contains(modes, corev1.ReadOnlyMany)
}

// attaches says whether a volume is attached at all. NFS and its like are only
// mounted, and of a CSI driver its CSIDriver object says so; without that object
// Kubernetes attaches (skipAttach in pkg/volume/csi/csi_plugin.go). The plugins
// of old clouds are translated, as the controllers do.
func (v volumes) attaches(pv *corev1.PersistentVolume) bool {
	switch {
	case pv.Spec.CSI != nil:
		return v.driverAttaches(pv.Spec.CSI.Driver)
	case pv.Spec.FC != nil, pv.Spec.ISCSI != nil, pv.Spec.FlexVolume != nil, pv.Spec.RBD != nil:
		return true
	}
	plugin, err := v.inTree.GetInTreePluginNameFromSpec(pv, nil)
	return err == nil && v.pluginAttaches(plugin)
}

func (v volumes) pluginAttaches(plugin string) bool {
	driver, err := v.inTree.GetCSINameFromInTreeName(plugin)
	return err == nil && v.driverAttaches(driver)
}

func (v volumes) driverAttaches(name string) bool {
	driver := v.drivers[name]
	return driver == nil || driver.Spec.AttachRequired == nil || *driver.Spec.AttachRequired
}

// attachesInline is the same for a disk that the Pod names itself; several Pods
// may read one that is read-only.
func (v volumes) attachesInline(volume *corev1.Volume, namespace string) bool {
	switch {
	case volume.FC != nil, volume.ISCSI != nil, volume.FlexVolume != nil, volume.RBD != nil:
		return true
	case volume.GCEPersistentDisk != nil && volume.GCEPersistentDisk.ReadOnly:
		return false
	}
	if !v.inTree.IsInlineMigratable(volume) {
		return false
	}
	translated, err := v.inTree.TranslateInTreeInlineVolumeToCSI(klog.Logger{}, volume, namespace)
	return err == nil && translated.Spec.CSI != nil && v.driverAttaches(translated.Spec.CSI.Driver)
}

// HostData names the folders of its node that a Pod writes to: its successor
// starts elsewhere without what is in them. "" when there are none.
func HostData(pod *corev1.Pod) string {
	var paths []string
	for _, volume := range pod.Spec.Volumes {
		if volume.HostPath != nil && writes(pod, volume.Name) {
			paths = append(paths, volume.HostPath.Path)
		}
	}
	if len(paths) == 0 {
		return ""
	}
	slices.Sort(paths)
	return fmt.Sprintf("what it wrote to its node's %s stays there", strings.Join(slices.Compact(paths), ", "))
}

func writes(pod *corev1.Pod, volume string) bool {
	mounts := func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume && !m.ReadOnly })
	}
	return slices.ContainsFunc(pod.Spec.Containers, mounts) || slices.ContainsFunc(pod.Spec.InitContainers, mounts)
}

func firstOf(known, name string) string {
	if known != "" {
		return known
	}
	return name
}
