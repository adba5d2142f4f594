package registry

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds that rules look up.
var (
	kindNamespace      = schema.GroupKind{Kind: "Namespace"}
	kindPod            = schema.GroupKind{Kind: "Pod"}
	kindEndpoints      = schema.GroupKind{Kind: "Endpoints"}
	kindService        = schema.GroupKind{Kind: "Service"}
	kindServiceAccount = schema.GroupKind{Kind: "ServiceAccount"}
	kindVolume         = schema.GroupKind{Kind: "PersistentVolume"}
	kindCronJob        = schema.GroupKind{Group: "batch", Kind: "CronJob"}
	kindPriorityClass  = schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}
	kindRuntimeClass   = schema.GroupKind{Group: "node.k8s.io", Kind: "RuntimeClass"}
)

// childRules leave out what a controller makes again for an owner that is in
// the backup. Restored as well, they would be there twice, or carry an old
// state (velero#1949: three Pods became six).
//
// The owner counts when it is in the backup and was not asked for, too: created
// later, it would find a twin of its own child. A child whose owner is not in
// the backup is an orphan, which the garbage collector had not come by yet. It
// is kept, with the reference cut and a note, except for kinds that are worth
// nothing without their owner.
func childRules() []Rule {
	return []Rule{
		{
			ID: "owned-by-controller", Kinds: kinds("Pod", "ReplicaSet.apps", "ReplicationController"),
			Why:    "its controller makes it again from the owner's template; a second one would be counted, adopted and scaled away",
			Source: "kubernetes pkg/controller/controller_ref_manager.go; velero#1949",
			apply: func(e *edit) {
				e.leaveOwned(func(schema.GroupKind) bool { return true })
			},
		},
		{
			ID: "controller-revision", Kinds: kinds("ControllerRevision.apps"),
			Why:    "it is the history of its StatefulSet or DaemonSet, which starts a new one. Others keep in it what they need: KubeVirt the size of a machine",
			Source: "kubernetes pkg/controller/history; kubevirt.io pkg/instancetype/revision",
			apply: func(e *edit) {
				if ref := controllerOf(e.stored); ref != nil && strings.HasPrefix(stringAt(ref, "apiVersion"), "apps/") {
					e.leave("its owner starts a new history")
				}
			},
		},
		{
			ID: "job-of-cron-job", Kinds: kinds("Job.batch"),
			Why:    "the CronJob starts its Jobs at their hours",
			Source: "kubernetes pkg/controller/cronjob",
			apply: func(e *edit) {
				e.leaveOwned(func(owner schema.GroupKind) bool { return owner == kindCronJob })
			},
		},
		{
			ID: "claim-of-pod", Kinds: kinds("PersistentVolumeClaim", "ResourceClaim.resource.k8s.io"),
			Why:    "it lives and dies with its Pod; one that the new Pod does not own keeps that Pod from starting",
			Source: "kubernetes pkg/controller/volume/ephemeral, pkg/controller/resourceclaim",
			apply: func(e *edit) {
				e.leaveOwned(func(owner schema.GroupKind) bool { return owner == kindPod })
			},
		},
	}
}

// leaveOwned leaves out an object whose controller is in the backup and of a
// kind that remakes takes, and notes an orphan.
func (e *edit) leaveOwned(remakes func(owner schema.GroupKind) bool) {
	ref := controllerOf(e.stored)
	if ref == nil {
		return
	}
	gv, err := schema.ParseGroupVersion(stringAt(ref, "apiVersion"))
	kind, name := gv.WithKind(stringAt(ref, "kind")).GroupKind(), stringAt(ref, "name")
	if err != nil || !remakes(kind) {
		return
	}
	// By uid alone: an owner of the same name and another uid is not the owner,
	// and to the garbage collector this object is dangling (garbagecollector.go,
	// isDangling).
	if owner := e.byUID[stringAt(ref, "uid")]; owner != nil {
		switch {
		case owner.deleting:
			e.leave("%s, its owner, was being deleted when the backup was made", owner)
		case owner.other:
			e.leave("%s makes it again, which is in the backup and was not asked for", owner)
		default:
			e.leave("%s makes it again", owner)
		}
		return
	}
	if id := (identity{kind, e.id.namespace, name}); cmp.Or(e.byID[id], e.beside[id]) != nil {
		e.note("its owner was an older %s %q, which is gone; nothing will look after it", kind.Kind, name)
		return
	}
	e.note("its owner %s %q is not in the backup; nothing will look after it", kind.Kind, name)
}

// controllerOf is the owner reference of an object's controller, nil without.
func controllerOf(stored map[string]any) map[string]any {
	for _, item := range listAt(stored, "metadata", "ownerReferences") {
		if ref, ok := item.(map[string]any); ok && boolAt(ref, "controller") {
			return ref
		}
	}
	return nil
}
