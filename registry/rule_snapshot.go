package registry

import (
	"cmp"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds of volume snapshots (kubernetes-csi/external-snapshotter). A
// content stands for what is in the storage, as a PersistentVolume does; a
// request names its content, as a claim does its volume.
var (
	kindSnapshot             = schema.GroupKind{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshot"}
	kindSnapshotContent      = schema.GroupKind{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshotContent"}
	kindGroupSnapshot        = schema.GroupKind{Group: "groupsnapshot.storage.k8s.io", Kind: "VolumeGroupSnapshot"}
	kindGroupSnapshotContent = schema.GroupKind{Group: "groupsnapshot.storage.k8s.io", Kind: "VolumeGroupSnapshotContent"}
)

// snapshotFields are the names that differ between one snapshot and a group.
type snapshotFields struct {
	request, content schema.GroupKind
	ref              string // of the content: what names the request
	bound            string // of the request's status: the name of its content
	source           string // of the request's source: the same
}

func snapshotFieldsOf(kind schema.GroupKind) snapshotFields {
	switch kind {
	case kindGroupSnapshot, kindGroupSnapshotContent:
		return snapshotFields{kindGroupSnapshot, kindGroupSnapshotContent, "volumeGroupSnapshotRef", "boundVolumeGroupSnapshotContentName", "volumeGroupSnapshotContentName"}
	}
	return snapshotFields{kindSnapshot, kindSnapshotContent, "volumeSnapshotRef", "boundVolumeSnapshotContentName", "volumeSnapshotContentName"}
}

// snapshotRules turn snapshots that were taken into ones that are only looked
// up in the storage.
func snapshotRules() []Rule {
	contents := []schema.GroupKind{kindSnapshotContent, kindGroupSnapshotContent}
	requests := []schema.GroupKind{kindSnapshot, kindGroupSnapshot}
	return []Rule{
		{
			ID: "snapshot-not-taken", Kinds: append(contents, requests...),
			Why:    "the snapshot was not taken when the backup was made; created again it would be one of today's volume",
			Source: "kubernetes-csi/external-snapshotter pkg/sidecar-controller, createSnapshot",
			apply:  leaveUntaken,
		},
		{
			ID: "snapshot-content-handle", Kinds: contents,
			Why:    "with a volume as its source the driver takes a new snapshot of today's volume, and the one in the storage is an orphan; a handle is looked up",
			Source: "kubernetes-csi/external-snapshotter client/apis/volumesnapshot/v1/types.go, VolumeSnapshotContentSource",
			apply: func(e *edit) {
				if source := takenSource(e.id.kind, e.stored); source != nil && mapAt(e.stored, "spec", "source") != nil && !hasHandle(e.stored) {
					e.change(source, "spec", "source")
				}
			},
		},
		{
			ID: "snapshot-content-retain", Kinds: contents,
			Why:    "one mistake in the binding, and policy Delete destroys the snapshot in the storage",
			Source: "kubernetes-csi/external-snapshotter pkg/common-controller, syncContent",
			apply: func(e *edit) {
				for _, key := range []string{"volumesnapshot-being-created", "volumesnapshot-being-deleted", "volumegroupsnapshot-being-created", "volumegroupsnapshot-being-deleted"} {
					e.drop("metadata", "annotations", "snapshot.storage.kubernetes.io/"+key)
				}
				if stringAt(e.stored, "spec", "deletionPolicy") == "Delete" {
					e.change("Retain", "spec", "deletionPolicy")
					e.note("deletion policy was Delete and is Retain now; set it back with kubectl patch when the snapshot is bound")
				}
			},
		},
		{
			ID: "snapshot-content-uid", Kinds: contents,
			Why:    "to the controller a snapshot of another uid is another snapshot. Namespace and name stay and keep foreign ones away",
			Source: "kubernetes-csi/external-snapshotter pkg/common-controller, syncUnreadySnapshot",
			apply: func(e *edit) {
				f := snapshotFieldsOf(e.id.kind)
				e.cutBinding(f.request, true, "spec", f.ref)
			},
		},
		{
			ID: "snapshot-source", Kinds: requests,
			Why:    "with a claim as its source a new snapshot is taken of today's volume under the old name",
			Source: "kubernetes-csi/external-snapshotter client/apis/volumesnapshot/v1/types.go, VolumeSnapshotSource",
			apply: func(e *edit) {
				f := snapshotFieldsOf(e.id.kind)
				name := stringAt(e.stored, "status", f.bound)
				if name == "" || mapAt(e.stored, "spec", "source") == nil || stringAt(e.stored, "spec", "source", f.source) != "" {
					return
				}
				e.change(map[string]any{f.source: name}, "spec", "source")
				if e.find(f.content, "", name) == nil {
					e.note("its %s %q is not among the objects; it waits until that is created", f.content.Kind, name)
				}
			},
		},
	}
}

// leaveUntaken leaves out what asks for a snapshot that is not there yet.
func leaveUntaken(e *edit) {
	f := snapshotFieldsOf(e.id.kind)
	if mapAt(e.stored, "spec", "source") == nil {
		return // of no version that has a source
	}
	if e.id.kind == f.content {
		if !hasHandle(e.stored) && takenSource(e.id.kind, e.stored) == nil {
			e.leave("its snapshot was not taken yet")
		}
		return
	}
	name := cmp.Or(stringAt(e.stored, "spec", "source", f.source), stringAt(e.stored, "status", f.bound))
	content := e.find(f.content, "", name)
	switch {
	case name == "":
		e.leave("it was not taken yet")
	case content != nil && !content.taken:
		e.leave("it was not taken yet: %s has no handle", content)
	}
}

// hasHandle tells a content whose source is in the storage already.
func hasHandle(stored map[string]any) bool {
	source := mapAt(stored, "spec", "source")
	return stringAt(source, "snapshotHandle") != "" || mapAt(source, "groupSnapshotHandles") != nil
}

// takenSource is the source of a content by the handles that its status has;
// nil when there are none.
func takenSource(kind schema.GroupKind, stored map[string]any) map[string]any {
	status := mapAt(stored, "status")
	if kind != kindGroupSnapshotContent {
		if handle := stringAt(status, "snapshotHandle"); handle != "" {
			return map[string]any{"snapshotHandle": handle}
		}
		return nil
	}
	group := stringAt(status, "volumeGroupSnapshotHandle")
	var handles []any
	for _, field := range []string{"volumeSnapshotInfoList", "volumeSnapshotHandlePairList"} { // v1beta2, v1beta1
		for _, item := range listAt(status, field) {
			if handle := stringAt(item, "snapshotHandle"); handle != "" {
				handles = append(handles, handle)
			}
		}
	}
	if group == "" || len(handles) == 0 {
		return nil
	}
	return map[string]any{"groupSnapshotHandles": map[string]any{"volumeGroupSnapshotHandle": group, "volumeSnapshotHandles": handles}}
}
