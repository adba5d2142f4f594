package registry

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// runRules see to custom resources that are tasks: what ran once must not run
// again because its status, which says so, is not taken along.
func runRules() []Rule {
	return []Rule{
		{
			ID:     "run-finished",
			Why:    "its status says that it has ended, and the API server drops the status at creation: it would run again",
			Source: "apiextensions-apiserver pkg/registry/customresource/strategy.go, PrepareForCreate; tektoncd/pipeline, argoproj/argo-workflows, vmware-tanzu/velero, cert-manager pkg/apis/acme/v1, kubevirt.io/api/snapshot/v1beta1",
			apply:  leaveFinishedRun,
		},
		{
			ID: "run-pending", Kinds: kinds("PipelineRun.tekton.dev"),
			Why:    "how far it had come is lost; whether it may run from the beginning only its owner knows, as with a Job",
			Source: "tektoncd/pipeline docs/pipelineruns.md, PipelineRunSpecStatusPending",
			apply: func(e *edit) {
				if len(mapAt(e.stored, "status")) == 0 || !e.losesStatus() || mapAt(e.stored, "spec") == nil || stringAt(e.stored, "spec", "status") != "" {
					return
				}
				e.change("PipelineRunPending", "spec", "status")
				e.note("had not ended when the backup was made and is pending now; to run it from the beginning remove spec.status with kubectl patch")
			},
		},
	}
}

// losesStatus tells whether the status of a custom resource is dropped at its
// creation. Without the definition nobody knows, and it may be.
func (e *edit) losesStatus() bool {
	definition, ok := e.definitions[e.id.kind]
	if !ok {
		return true
	}
	_, version, _ := strings.Cut(stringAt(e.stored, "apiVersion"), "/")
	v, found := definition.Version(version)
	return !found || v.Status
}

func leaveFinishedRun(e *edit) {
	if !e.custom() || !e.losesStatus() {
		return
	}
	status := mapAt(e.stored, "status")
	result, ended := cmp.Or(resultOf(status), issued(e.id.kind, status)), hasEndTime(status)
	switch {
	case result != "" && (ended || isRun(e.id.kind)):
		e.leave("it has ended (%s)", result)
	case ended && isRun(e.id.kind):
		e.leave("it has ended")
	case result != "":
		e.note("its status says %s and is not taken along: if it is a task, it runs again", result)
	case ended:
		e.note("its status has the time of an end and is not taken along: if it is a task, it runs again")
	case isRun(e.id.kind) && len(status) > 0 && e.id.kind.Kind != "PipelineRun":
		e.note("had not ended when the backup was made; created again it runs from the beginning")
	}
}

// isRun tells kinds that are known to be tasks and nothing else.
func isRun(gk schema.GroupKind) bool {
	switch gk.Group {
	case "tekton.dev":
		return slices.Contains([]string{"PipelineRun", "TaskRun", "CustomRun", "Run"}, gk.Kind)
	case "argoproj.io":
		return slices.Contains([]string{"Workflow", "AnalysisRun", "Experiment"}, gk.Kind)
	case "kubeflow.org", "trainer.kubeflow.org", "batch.volcano.sh", "ray.io":
		return strings.HasSuffix(gk.Kind, "Job")
	case "velero.io":
		return strings.HasSuffix(gk.Kind, "Backup") || strings.HasSuffix(gk.Kind, "Restore") || strings.HasSuffix(gk.Kind, "Request") ||
			gk.Kind == "DataUpload" || gk.Kind == "DataDownload"
	case "sparkoperator.k8s.io":
		return gk.Kind == "SparkApplication"
	case "k6.io":
		return true
	case "k8up.io":
		return gk.Kind != "Schedule" && gk.Kind != "PreBackupPod"
	case "kubevirt.io":
		return gk.Kind == "VirtualMachineInstanceMigration"
	case "snapshot.kubevirt.io":
		return gk.Kind == "VirtualMachineRestore"
	case "cert-manager.io", "acme.cert-manager.io":
		return slices.Contains([]string{"CertificateRequest", "Order", "Challenge"}, gk.Kind)
	}
	return false
}

// resultOf is what a status says of an end, in its own words as far as those
// are known ("Succeeded", "phase Completed"); "" when it says nothing.
func resultOf(status map[string]any) string {
	final := []string{"succeeded", "success", "successful", "complete", "completed", "failed", "failure", "error", "finished", "done", "partiallyfailed", "failedvalidation", "inconclusive", "cancelled", "canceled", "stopped"}
	for _, c := range listAt(status, "conditions") {
		kind, is := stringAt(c, "type"), stringAt(c, "status")
		switch {
		case is == "True" && slices.Contains(final, strings.ToLower(kind)):
			return kind
		case is == "False" && (kind == "Succeeded" || kind == "Complete") && hasEndTime(status): // tekton, knative
			return "not " + kind
		}
	}
	for _, path := range [][]string{{"phase"}, {"state"}, {"stage"}, {"result"}, {"jobStatus"}, {"state", "phase"}, {"applicationState", "state"}} {
		if word := stringAt(status, path...); slices.Contains(final, strings.ToLower(word)) {
			return path[0] + " " + strings.ToLower(word)
		}
	}
	for _, word := range []string{"finished", "complete", "completed"} {
		if boolAt(status, word) {
			return word
		}
	}
	return ""
}

// issued is the end of a request to an issuer, in cert-manager's words. Made again, an
// Order asks its CA for one more certificate, of which it gives a few a week.
func issued(gk schema.GroupKind, status map[string]any) string {
	if !isRun(gk) || !strings.HasSuffix(gk.Group, "cert-manager.io") {
		return ""
	}
	if state := stringAt(status, "state"); slices.Contains([]string{"valid", "invalid", "expired", "errored"}, state) {
		return "state " + state
	}
	for _, c := range listAt(status, "conditions") {
		if stringAt(c, "type") == "Ready" && (stringAt(c, "status") == "True" || slices.Contains([]string{"Failed", "Denied"}, stringAt(c, "reason"))) {
			return "Ready " + stringAt(c, "status")
		}
	}
	return ""
}

// hasEndTime tells a status with the time of an end, which something that lives
// on has not.
func hasEndTime(status map[string]any) bool {
	for _, name := range []string{"completionTime", "completionTimestamp", "completedAt", "finishTime", "finishedAt", "endTime", "finishedTime", "completed"} {
		if stringAt(status, name) != "" {
			return true
		}
	}
	return false
}
