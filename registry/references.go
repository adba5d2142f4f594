package registry

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// reference is a place in an object that names another one.
type reference struct {
	to       Reference
	field    string
	optional bool // Kubernetes takes it that the object is not there
}

// referencesOf lists what an object of a built-in kind names.
func referencesOf(o *Object, content map[string]any) []reference {
	f := refFinder{namespace: o.Key.Namespace}
	spec := mapAt(content, "spec")
	switch o.GVK.Kind {
	case "Pod":
		f.pod("spec", spec)
	case "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController":
		f.pod("spec.template.spec", mapAt(spec, "template", "spec"))
	case "CronJob":
		f.pod("spec.jobTemplate.spec.template.spec", mapAt(spec, "jobTemplate", "spec", "template", "spec"))
	case "PersistentVolumeClaim":
		f.class("StorageClass.storage.k8s.io", "spec.storageClassName", stringAt(spec, "storageClassName"))
		f.class("PersistentVolume", "spec.volumeName", stringAt(spec, "volumeName"))
	case "PersistentVolume":
		f.class("StorageClass.storage.k8s.io", "spec.storageClassName", stringAt(spec, "storageClassName"))
	case "Ingress":
		f.class("IngressClass.networking.k8s.io", "spec.ingressClassName", stringAt(spec, "ingressClassName"))
		for i, tls := range listAt(spec, "tls") {
			f.named("Secret", fmt.Sprintf("spec.tls[%d].secretName", i), stringAt(tls, "secretName"), false)
		}
	case "RoleBinding", "ClusterRoleBinding":
		ref := mapAt(content, "roleRef")
		kind := schema.GroupKind{Group: stringAt(ref, "apiGroup"), Kind: stringAt(ref, "kind")}
		f.named(kind.String(), "roleRef", stringAt(ref, "name"), false)
	case "ServiceAccount":
		for i, secret := range listAt(content, "imagePullSecrets") {
			f.named("Secret", fmt.Sprintf("imagePullSecrets[%d]", i), stringAt(secret, "name"), false)
		}
	case "HorizontalPodAutoscaler":
		target := mapAt(spec, "scaleTargetRef")
		if gv, err := schema.ParseGroupVersion(stringAt(target, "apiVersion")); err == nil {
			f.named(gv.WithKind(stringAt(target, "kind")).GroupKind().String(), "spec.scaleTargetRef", stringAt(target, "name"), false)
		}
	}
	if o.GVK.Kind == "StatefulSet" {
		for i, claim := range listAt(spec, "volumeClaimTemplates") {
			f.class("StorageClass.storage.k8s.io", fmt.Sprintf("spec.volumeClaimTemplates[%d]", i), stringAt(claim, "spec", "storageClassName"))
		}
	}
	return f.found
}

type refFinder struct {
	namespace string
	found     []reference
}

// named adds an object of the same namespace, or of the cluster for a kind that
// has none. kind is "Secret", "Role.rbac.authorization.k8s.io".
func (f *refFinder) named(kind, field, name string, optional bool) {
	if name != "" {
		f.found = append(f.found, reference{Reference{schema.ParseGroupKind(kind), f.namespace, name}, field, optional})
	}
}

// class adds an object of the cluster.
func (f *refFinder) class(kind, field, name string) { f.named(kind, field, name, false) }

// pod adds what a Pod's spec names.
func (f *refFinder) pod(field string, spec map[string]any) {
	f.named("ServiceAccount", field+".serviceAccountName", stringAt(spec, "serviceAccountName"), false)
	f.class("PriorityClass.scheduling.k8s.io", field+".priorityClassName", stringAt(spec, "priorityClassName"))
	f.class("RuntimeClass.node.k8s.io", field+".runtimeClassName", stringAt(spec, "runtimeClassName"))
	for i, secret := range listAt(spec, "imagePullSecrets") {
		f.named("Secret", fmt.Sprintf("%s.imagePullSecrets[%d]", field, i), stringAt(secret, "name"), true)
	}
	for _, v := range listAt(spec, "volumes") {
		at := fmt.Sprintf("%s.volumes[%s]", field, stringAt(v, "name"))
		f.named("Secret", at+".secret", stringAt(v, "secret", "secretName"), boolAt(v, "secret", "optional"))
		f.named("ConfigMap", at+".configMap", stringAt(v, "configMap", "name"), boolAt(v, "configMap", "optional"))
		f.named("PersistentVolumeClaim", at+".persistentVolumeClaim", stringAt(v, "persistentVolumeClaim", "claimName"), false)
		for _, source := range listAt(v, "projected", "sources") {
			f.named("Secret", at+".projected.secret", stringAt(source, "secret", "name"), boolAt(source, "secret", "optional"))
			f.named("ConfigMap", at+".projected.configMap", stringAt(source, "configMap", "name"), boolAt(source, "configMap", "optional"))
		}
	}
	for _, list := range []string{"initContainers", "containers"} {
		for _, c := range listAt(spec, list) {
			f.container(fmt.Sprintf("%s.%s[%s]", field, list, stringAt(c, "name")), c)
		}
	}
}

func (f *refFinder) container(field string, c any) {
	for _, from := range listAt(c, "envFrom") {
		f.named("Secret", field+".envFrom", stringAt(from, "secretRef", "name"), boolAt(from, "secretRef", "optional"))
		f.named("ConfigMap", field+".envFrom", stringAt(from, "configMapRef", "name"), boolAt(from, "configMapRef", "optional"))
	}
	for _, env := range listAt(c, "env") {
		at := fmt.Sprintf("%s.env[%s]", field, stringAt(env, "name"))
		f.named("Secret", at, stringAt(env, "valueFrom", "secretKeyRef", "name"), boolAt(env, "valueFrom", "secretKeyRef", "optional"))
		f.named("ConfigMap", at, stringAt(env, "valueFrom", "configMapKeyRef", "name"), boolAt(env, "valueFrom", "configMapKeyRef", "optional"))
	}
}
