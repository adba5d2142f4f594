package registry

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// volumeRules take the binding of claims and volumes apart so far that the
// controllers put the same ones together again, and keep the disks safe
// meanwhile. What a user asked for (a selector, a volume's name) stays.
func volumeRules() []Rule {
	return []Rule{
		{
			ID: "claim-binding", Kinds: kinds("PersistentVolumeClaim"),
			Why:    "a claim that says it is bound, to a volume that is not there, is Lost for ever (pv_controller.go, syncBoundClaim); nodes and provisioners are chosen anew",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go; velero#1138",
			apply: func(e *edit) {
				for _, key := range claimAnnotations() {
					e.drop("metadata", "annotations", key)
				}
			},
		},
		{
			ID: "claim-volume-name", Kinds: kinds("PersistentVolumeClaim"),
			Why:    "a claim keeps its volume when that is created as well; without it the claim would wait for ever",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go, syncUnboundClaim; velero#1418",
			apply: func(e *edit) {
				name := stringAt(e.stored, "spec", "volumeName")
				if name == "" || e.find(kindVolume, "", name) != nil {
					return
				}
				e.drop("spec", "volumeName")
				e.note("its PersistentVolume %q is not among the objects: %s", name, e.newVolume())
			},
		},
		{
			ID: "volume-claim-uid", Kinds: kinds("PersistentVolume"),
			Why:    "to the controller a claim of another uid is another claim: the volume would be released, and deleted by its policy. Namespace and name stay and keep foreign claims away, and so does the uid of a claim that is gone",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go, syncVolume; velero#3007",
			apply: func(e *edit) {
				e.cutBinding(kindClaim, stringAt(e.stored, "status", "phase") == "Bound", "spec", "claimRef")
			},
		},
		{
			ID: "volume-binding", Kinds: kinds("PersistentVolume"),
			Why:    "the controller binds anew; a binding by hand must not be undone as if it were the controller's",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go, unbindVolume",
			apply:  func(e *edit) { e.drop("metadata", "annotations", "pv.kubernetes.io/bound-by-controller") },
		},
		{
			ID: "volume-retain", Kinds: kinds("PersistentVolume"),
			Why:    "one mistake in the binding, and policy Delete (or Recycle) destroys the data",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go, reclaimVolume",
			apply: func(e *edit) {
				policy := stringAt(e.stored, "spec", "persistentVolumeReclaimPolicy")
				if policy != "Delete" && policy != "Recycle" {
					return
				}
				e.change("Retain", "spec", "persistentVolumeReclaimPolicy")
				e.note("reclaim policy was %s and is Retain now; when the data is there, set it back with kubectl patch", policy)
			},
		},
	}
}

// claimAnnotations are those by which controllers say how far a claim has come.
func claimAnnotations() []string {
	return []string{
		"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller",
		"volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner",
		"volume.kubernetes.io/selected-node",
	}
}

// newVolume says what becomes of a claim whose volume is not there.
func (e *edit) newVolume() string {
	spec := mapAt(e.stored, "spec")
	source := mapAt(spec, "dataSourceRef")
	if source == nil {
		source = mapAt(spec, "dataSource")
	}
	class, named := spec["storageClassName"].(string)
	switch {
	case source != nil:
		gk := schema.GroupKind{Group: stringAt(source, "apiGroup"), Kind: stringAt(source, "kind")}
		from := identity{gk, cmp.Or(stringAt(source, "namespace"), e.id.namespace), stringAt(source, "name")}
		text := fmt.Sprintf("it will get a new volume, filled again from %s %q", from.kind.Kind, from.name)
		if e.find(from.kind, from.namespace, from.name) == nil {
			text += ", which is not among the objects either and which it waits for"
		}
		return text
	case named && class == "":
		return "it waits for a volume that fits"
	}
	return "it will get a new, empty volume"
}
