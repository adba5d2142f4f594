package registry

// beingDeleted is the rule whose objects a Summary names one by one.
const beingDeleted = "being-deleted"

// presenceRules leave out what was over, or on its way out, when the backup
// was made. They stand first, so that a Pod which has ended is not said to be
// made again by its finished Job.
func presenceRules() []Rule {
	return []Rule{
		{
			ID:     beingDeleted,
			Why:    "somebody had deleted it; only its finalizers were outstanding when the backup was made",
			Source: "apiserver pkg/registry/rest/delete.go, BeforeDelete",
			apply: func(e *edit) {
				switch {
				case !e.deleting:
				case e.id.kind == kindNamespace:
					e.note("was being deleted when the backup was made: a part of its objects may be missing from the backup")
				default:
					e.leave("it was being deleted when the backup was made")
				}
			},
		},
		{
			ID: "pod-mirror", Kinds: kinds("Pod"),
			Why:    "it is the image of a static Pod, which its kubelet reads from a file on the node",
			Source: "kubernetes pkg/kubelet/types/pod_update.go, ConfigMirrorAnnotationKey",
			apply: func(e *edit) {
				source := stringAt(e.stored, "metadata", "annotations", "kubernetes.io/config.source")
				if valueAt(e.stored, "metadata", "annotations", "kubernetes.io/config.mirror") != nil || source != "" && source != "api" {
					e.leave("it is the image of a static Pod; its kubelet makes it")
				}
			},
		},
		{
			ID: "pod-finished", Kinds: kinds("Pod"),
			Why:    "created again it would run again",
			Source: "velero pkg/restore/restore.go, isCompleted",
			apply: func(e *edit) {
				if phase := stringAt(e.stored, "status", "phase"); phase == "Succeeded" || phase == "Failed" {
					e.leave("it has ended (%s)", phase)
				}
			},
		},
		{
			ID: "job-finished", Kinds: kinds("Job.batch"),
			Why:    "created again it would run again; a failed one as well, which has no completion time",
			Source: "kubernetes pkg/controller/job/utils.go, IsJobFinished",
			apply: func(e *edit) {
				if hasCondition(e.stored, "Complete", "Failed") {
					e.leave("it has ended")
				}
			},
		},
	}
}
