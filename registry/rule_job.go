package registry

// jobRules see to it that no Job runs twice and that one which has to run gets
// its own selector again.
func jobRules() []Rule {
	job := kinds("Job.batch")
	return []Rule{
		{
			ID: "job-selector", Kinds: job,
			Why:    "\"`selector` not auto-generated\": without manualSelector the API server makes one of the new uid",
			Source: "kubernetes pkg/apis/batch/validation/validation.go, ValidateGeneratedSelector",
			apply: func(e *edit) {
				if !boolAt(e.stored, "spec", "manualSelector") && !e.isManifest() {
					e.drop("spec", "selector")
				}
			},
		},
		{
			ID: "job-labels", Kinds: job,
			Why:    "they carry the old uid, and the API server adds them anew (velero#6711)",
			Source: "kubernetes pkg/registry/batch/job/strategy.go, generateSelector",
			apply: func(e *edit) {
				if boolAt(e.stored, "spec", "manualSelector") || e.isManifest() {
					return
				}
				for _, labels := range [][]any{{"metadata", "labels"}, {"spec", "template", "metadata", "labels"}} {
					for _, key := range []string{"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"} {
						e.drop(append(labels[:len(labels):len(labels)], key)...)
					}
				}
			},
		},
		{
			ID: "job-tracking", Kinds: job,
			Why:    "the API server sets it on Jobs that its controller tracks",
			Source: "kubernetes pkg/registry/batch/job/strategy.go, batch.JobTrackingFinalizer",
			apply:  func(e *edit) { e.drop("metadata", "annotations", "batch.kubernetes.io/job-tracking") },
		},
		{
			ID: "job-suspend", Kinds: job,
			Why:    "how far it had come is lost with its Pods; whether it may run from the beginning only its owner knows (crane#482)",
			Source: "kubernetes pkg/apis/batch/types.go, JobSpec.Suspend",
			apply: func(e *edit) {
				if boolAt(e.stored, "spec", "suspend") || mapAt(e.stored, "spec") == nil {
					return
				}
				e.change(true, "spec", "suspend")
				e.note("had not ended when the backup was made and is suspended now; to run it from the beginning set spec.suspend to false with kubectl patch")
			},
		},
	}
}
