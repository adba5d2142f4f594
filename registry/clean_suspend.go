package registry

import (
	"fmt"
	"strconv"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// ReplicasAnnotation keeps how many replicas a suspended workload had.
const ReplicasAnnotation = "lifeboat-dr.github.io/replicas"

// suspendRules keep workloads from starting before somebody wakes them. They
// stand behind all others.
func suspendRules() []Rule {
	return []Rule{
		{
			ID: "suspend-replicas", Kinds: kinds("Deployment.apps", "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController"),
			Why:    "a staged start was asked for: nothing runs until it is woken; an autoscaler leaves what has no replicas alone",
			Source: "kubernetes pkg/controller/podautoscaler/horizontal.go, ScalingDisabled", apply: suspendReplicas,
		},
		{
			ID: "suspend-cronjob", Kinds: kinds("CronJob.batch"),
			Why:    "a staged start was asked for: it would run at its next time",
			Source: "kubernetes pkg/controller/cronjob/cronjob_controllerv2.go, syncCronJob",
			apply: func(e *edit) {
				if mapAt(e.content, "spec") != nil && !boolAt(e.content, "spec", "suspend") {
					e.change(true, "spec", "suspend")
					e.wake = e.patchCommand(`{"spec":{"suspend":false}}`)
				}
			},
		},
		{
			ID: "suspend-job", Kinds: kinds("Job.batch"),
			Why:    "a staged start was asked for: the Job is suspended already, and is woken with the others",
			Source: "kubernetes pkg/apis/batch/types.go, JobSpec.Suspend",
			apply: func(e *edit) {
				if boolAt(e.content, "spec", "suspend") && !boolAt(e.stored, "spec", "suspend") {
					e.wake = e.patchCommand(`{"spec":{"suspend":false}}`)
				}
			},
		},
		{
			ID: "suspend-not", Kinds: kinds("DaemonSet.apps", "Pod"),
			Why:    "it has no number of replicas",
			Source: "k8s.io/api/apps/v1, DaemonSetSpec",
			apply:  func(e *edit) { e.note("cannot be suspended: it starts as soon as it is created") },
		},
	}
}

func suspendReplicas(e *edit) {
	spec := mapAt(e.content, "spec")
	replicas := int64(1) // what the API fills in
	switch n := spec["replicas"].(type) {
	case int64:
		replicas = n
	case nil:
	default:
		return // not what the type says: the API server refuses it
	}
	if spec == nil || replicas == 0 {
		return
	}
	if mapAt(e.content, "metadata", "annotations") == nil {
		set(e.content, map[string]any{}, []any{"metadata", "annotations"})
	}
	e.change(strconv.FormatInt(replicas, 10), "metadata", "annotations", ReplicasAnnotation)
	e.change(int64(0), "spec", "replicas")
	e.wake = fmt.Sprintf("kubectl scale %s %s--replicas=%d", e.reference(), e.namespaceFlag(), replicas)
}

// patchCommand is kubectl's for the object as it is written.
func (e *edit) patchCommand(patch string) string {
	return fmt.Sprintf("kubectl patch %s %s-p %s", e.reference(), e.namespaceFlag(), words.ShellQuote(patch))
}

func (e *edit) reference() string {
	return words.ShellQuote(e.object.Key.Resource() + "/" + stringAt(e.content, "metadata", "name"))
}

func (e *edit) namespaceFlag() string {
	if namespace := stringAt(e.content, "metadata", "namespace"); namespace != "" {
		return "-n " + words.ShellQuote(namespace) + " "
	}
	return ""
}
