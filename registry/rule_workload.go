package registry

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podSpecPath is where a kind keeps the Pod that it makes; nil for others.
func podSpecPath(gk schema.GroupKind) []string {
	switch gk.String() {
	case "Pod":
		return []string{"spec"}
	case "PodTemplate":
		return []string{"template", "spec"}
	case "CronJob.batch":
		return []string{"spec", "jobTemplate", "spec", "template", "spec"}
	case "Deployment.apps", "DaemonSet.apps", "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController", "Job.batch":
		return []string{"spec", "template", "spec"}
	}
	return nil
}

// workloadRules clean what controllers wrote about their own progress. A Pod
// template is never touched but for an empty time stamp: any other difference
// would be a roll-out (kubectl.kubernetes.io/restartedAt stays for that).
func workloadRules() []Rule {
	templates := kinds("Deployment.apps", "DaemonSet.apps", "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController",
		"Job.batch", "CronJob.batch", "PodTemplate")
	return []Rule{
		{
			ID: "deployment-revision", Kinds: kinds("Deployment.apps", "ReplicaSet.apps"),
			Why:    "it counts a history that starts anew",
			Source: "kubernetes pkg/controller/deployment/util/deployment_util.go, annotationsToSkip",
			apply: func(e *edit) {
				for _, key := range []string{"revision", "revision-history", "desired-replicas", "max-replicas"} {
					e.drop("metadata", "annotations", "deployment.kubernetes.io/"+key)
				}
			},
		},
		{
			ID: "daemon-set-generation", Kinds: kinds("DaemonSet.apps"),
			Why:    "it counts a history that starts anew",
			Source: "kubernetes pkg/apis/apps/v1/conversion.go, DeprecatedTemplateGeneration",
			apply:  func(e *edit) { e.drop("metadata", "annotations", "deprecated.daemonset.template.generation") },
		},
		{
			ID: "template-timestamp", Kinds: templates,
			Why:    "older encoders wrote a null that means nothing",
			Source: "kubernetes/kubernetes#109427",
			apply: func(e *edit) {
				path := podSpecPath(e.id.kind)
				for n := len(path) - 1; n > 0; n-- {
					e.dropNullTimestamp(path[:n]...)
				}
			},
		},
		{
			ID: "claim-template-status", Kinds: kinds("StatefulSet.apps"),
			Why:    "a template has no status; the defaults of the API wrote it",
			Source: "kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_PersistentVolumeClaim",
			apply: func(e *edit) {
				for i, template := range listAt(e.stored, "spec", "volumeClaimTemplates") {
					e.drop("spec", "volumeClaimTemplates", i, "status")
					if m := mapAt(template, "metadata"); m != nil && m["creationTimestamp"] == nil {
						e.drop("spec", "volumeClaimTemplates", i, "metadata", "creationTimestamp")
					}
				}
			},
		},
		{
			ID: "pod-needs", Kinds: append(templates, kindPod),
			Why:    "a Pod whose PriorityClass, RuntimeClass or ServiceAccount is missing is refused; the operator is told what has to be there",
			Source: "kubernetes plugin/pkg/admission/{priority,runtimeclass,serviceaccount}",
			apply:  noteNeeds,
		},
	}
}

// dropNullTimestamp drops the creationTimestamp of a template when it is null.
func (e *edit) dropNullTimestamp(template ...string) {
	path := make([]any, 0, len(template)+2)
	for _, step := range template {
		path = append(path, step)
	}
	path = append(path, "metadata")
	if m, ok := at(e.content, path).(map[string]any); ok {
		if stamp, has := m["creationTimestamp"]; has && stamp == nil {
			e.drop(append(path, "creationTimestamp")...)
		}
	}
}

// noteNeeds names what a Pod cannot be created without and what is not among
// the objects.
func noteNeeds(e *edit) {
	spec := mapAt(e.stored, podSpecPath(e.id.kind)...)
	var missing []string
	need := func(kind schema.GroupKind, namespace, name string) {
		if name != "" && e.find(kind, namespace, name) == nil {
			missing = append(missing, fmt.Sprintf("%s %q", kind.Kind, name))
		}
	}
	if class := stringAt(spec, "priorityClassName"); !strings.HasPrefix(class, "system-") {
		need(kindPriorityClass, "", class)
	}
	need(kindRuntimeClass, "", stringAt(spec, "runtimeClassName"))
	if account := stringAt(spec, "serviceAccountName"); account != "default" {
		need(kindServiceAccount, e.id.namespace, account)
	}
	if len(missing) > 0 {
		e.note("needs %s, not among the objects", strings.Join(missing, ", "))
	}
}
