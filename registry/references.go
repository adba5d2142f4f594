package registry

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// reference is a place in an object that names another one.
type reference struct {
	to       Reference
	field    string
	optional bool // Kubernetes takes it that the object is not there
	foreign  bool // it is another's, and not brought along: an account that is given rights
}

// referencesIn lists what an object names; other kinds than Kubernetes' own name
// nothing that is known.
func referencesIn(kind schema.GroupKind, namespace string, content map[string]any) []reference {
	find := referenceFinders[kind.Kind]
	if _, builtin := LookupKind(kind); find == nil || !builtin || content == nil {
		return nil
	}
	f := refFinder{namespace: namespace}
	find(&f, content, mapAt(content, "spec"))
	return f.found
}

// referenceFinders are the kinds that name others.
var referenceFinders = func() map[string]func(f *refFinder, content, spec map[string]any) {
	template := func(f *refFinder, _, spec map[string]any) {
		f.pod("spec.template.spec", mapAt(spec, "template", "spec"))
	}
	policy := func(kind string) func(f *refFinder, _, spec map[string]any) {
		return func(f *refFinder, _, spec map[string]any) {
			f.class(kind+".admissionregistration.k8s.io", "spec.policyName", stringAt(spec, "policyName"))
		}
	}
	return map[string]func(f *refFinder, content, spec map[string]any){
		"Pod":        func(f *refFinder, _, spec map[string]any) { f.pod("spec", spec) },
		"Deployment": template, "ReplicaSet": template, "DaemonSet": template, "Job": template, "ReplicationController": template,
		"StatefulSet": (*refFinder).statefulSet,
		"CronJob": func(f *refFinder, _, spec map[string]any) {
			f.pod("spec.jobTemplate.spec.template.spec", mapAt(spec, "jobTemplate", "spec", "template", "spec"))
		},
		"PersistentVolumeClaim": func(f *refFinder, _, spec map[string]any) {
			f.claim("spec", spec)
			f.class("PersistentVolume", "spec.volumeName", stringAt(spec, "volumeName"))
			if source := mapAt(spec, "dataSource"); stringAt(spec, "volumeName") == "" && stringAt(source, "apiGroup") == "" { // else it is filled
				f.named(stringAt(source, "kind"), "spec.dataSource", stringAt(source, "name"), false)
			}
		},
		"PersistentVolume": (*refFinder).volume,
		"Ingress":          (*refFinder).ingress,
		"RoleBinding":      (*refFinder).binding, "ClusterRoleBinding": (*refFinder).binding,
		"ServiceAccount": (*refFinder).account,
		"APIService":     func(f *refFinder, _, spec map[string]any) { f.backend("spec.service", mapAt(spec, "service")) },
		"CustomResourceDefinition": func(f *refFinder, _, spec map[string]any) {
			f.backend("spec.conversion.webhook", mapAt(spec, "conversion", "webhook", "clientConfig", "service"))
		},
		"HorizontalPodAutoscaler":          (*refFinder).autoscaler,
		"ValidatingAdmissionPolicyBinding": policy("ValidatingAdmissionPolicy"),
		"MutatingAdmissionPolicyBinding":   policy("MutatingAdmissionPolicy"),
		"ResourceClaim":                    func(f *refFinder, _, spec map[string]any) { f.devices("spec", spec) },
		"ResourceClaimTemplate":            func(f *refFinder, _, spec map[string]any) { f.devices("spec.spec", mapAt(spec, "spec")) },
	}
}()

type refFinder struct {
	namespace string
	found     []reference
}

// named adds an object of the same namespace, or of the cluster for a kind that
// has none. kind is "Secret", "Role.rbac.authorization.k8s.io".
func (f *refFinder) named(kind, field, name string, optional bool) {
	if name != "" {
		f.found = append(f.found, reference{to: Reference{schema.ParseGroupKind(kind), f.namespace, name}, field: field, optional: optional})
	}
}

// class adds an object of the cluster.
func (f *refFinder) class(kind, field, name string) { f.named(kind, field, name, false) }

// claim adds what the spec of a claim for a volume names.
func (f *refFinder) claim(field string, spec any) {
	f.class("StorageClass.storage.k8s.io", field+".storageClassName", stringAt(spec, "storageClassName"))
	f.class("VolumeAttributesClass.storage.k8s.io", field+".volumeAttributesClassName", stringAt(spec, "volumeAttributesClassName"))
}

// volume adds what a PersistentVolume names: its driver's Secrets stand in any
// namespace.
func (f *refFinder) volume(_, spec map[string]any) {
	f.claim("spec", spec)
	for _, driver := range sortedKeys(spec) {
		for _, ref := range sortedKeys(mapAt(spec, driver)) {
			if !strings.HasSuffix(strings.ToLower(ref), "secretref") {
				continue
			}
			f.namespace = stringAt(spec, driver, ref, "namespace")
			f.named("Secret", "spec."+driver+"."+ref, stringAt(spec, driver, ref, "name"), f.namespace == "")
		}
	}
}

func (f *refFinder) ingress(_, spec map[string]any) {
	f.class("IngressClass.networking.k8s.io", "spec.ingressClassName", stringAt(spec, "ingressClassName"))
	for i, tls := range listAt(spec, "tls") {
		f.named("Secret", fmt.Sprintf("spec.tls[%d].secretName", i), stringAt(tls, "secretName"), false)
	}
	f.named("Service", "spec.defaultBackend", stringAt(spec, "defaultBackend", "service", "name"), false)
	for i, rule := range listAt(spec, "rules") {
		for j, path := range listAt(rule, "http", "paths") {
			f.named("Service", fmt.Sprintf("spec.rules[%d].http.paths[%d].backend", i, j), stringAt(path, "backend", "service", "name"), false)
		}
	}
}

func (f *refFinder) binding(content, _ map[string]any) {
	ref := mapAt(content, "roleRef")
	kind := schema.GroupKind{Group: stringAt(ref, "apiGroup"), Kind: stringAt(ref, "kind")}
	f.named(kind.String(), "roleRef", stringAt(ref, "name"), false)
	for i, subject := range listAt(content, "subjects") {
		if stringAt(subject, "kind") != "ServiceAccount" || stringAt(subject, "name") == "" {
			continue
		}
		f.found = append(f.found, reference{
			to:    Reference{kindServiceAccount, stringAt(subject, "namespace"), stringAt(subject, "name")},
			field: fmt.Sprintf("subjects[%d]", i), foreign: true,
		})
	}
}

// backend adds a Service that the API server calls.
func (f *refFinder) backend(field string, service map[string]any) {
	if name := stringAt(service, "name"); name != "" {
		f.found = append(f.found, reference{to: Reference{kindService, stringAt(service, "namespace"), name}, field: field, foreign: true})
	}
}

func (f *refFinder) account(content, _ map[string]any) {
	for i, secret := range listAt(content, "imagePullSecrets") {
		f.named("Secret", fmt.Sprintf("imagePullSecrets[%d]", i), stringAt(secret, "name"), false)
	}
}

func (f *refFinder) autoscaler(_, spec map[string]any) {
	target := mapAt(spec, "scaleTargetRef")
	if gv, err := schema.ParseGroupVersion(stringAt(target, "apiVersion")); err == nil {
		f.named(gv.WithKind(stringAt(target, "kind")).GroupKind().String(), "spec.scaleTargetRef", stringAt(target, "name"), false)
	}
}

func (f *refFinder) statefulSet(_, spec map[string]any) {
	f.pod("spec.template.spec", mapAt(spec, "template", "spec"))
	f.named("Service", "spec.serviceName", stringAt(spec, "serviceName"), false)
	for i, claim := range listAt(spec, "volumeClaimTemplates") {
		f.claim(fmt.Sprintf("spec.volumeClaimTemplates[%d].spec", i), mapAt(claim, "spec"))
	}
}

// devices adds what the spec of a claim for devices names.
func (f *refFinder) devices(field string, spec map[string]any) {
	for i, request := range listAt(spec, "devices", "requests") {
		at := fmt.Sprintf("%s.devices.requests[%d]", field, i)
		f.class("DeviceClass.resource.k8s.io", at, stringAt(request, "deviceClassName"))
		f.class("DeviceClass.resource.k8s.io", at, stringAt(request, "exactly", "deviceClassName"))
		for _, one := range listAt(request, "firstAvailable") {
			f.class("DeviceClass.resource.k8s.io", at, stringAt(one, "deviceClassName"))
		}
	}
}

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
		f.claim(at+".ephemeral", mapAt(v, "ephemeral", "volumeClaimTemplate", "spec"))
		f.named("Secret", at+".azureFile", stringAt(v, "azureFile", "secretName"), false)
		for _, driver := range []string{"csi", "cephfs", "rbd", "iscsi", "flexVolume", "scaleIO", "storageos"} {
			f.named("Secret", at+"."+driver, stringAt(v, driver, "secretRef", "name"), false)
			f.named("Secret", at+"."+driver, stringAt(v, driver, "nodePublishSecretRef", "name"), false)
		}
		for _, source := range listAt(v, "projected", "sources") {
			f.named("Secret", at+".projected.secret", stringAt(source, "secret", "name"), boolAt(source, "secret", "optional"))
			f.named("ConfigMap", at+".projected.configMap", stringAt(source, "configMap", "name"), boolAt(source, "configMap", "optional"))
		}
	}
	for i, claim := range listAt(spec, "resourceClaims") {
		at := fmt.Sprintf("%s.resourceClaims[%d]", field, i)
		f.named("ResourceClaim.resource.k8s.io", at, stringAt(claim, "resourceClaimName"), false)
		f.named("ResourceClaimTemplate.resource.k8s.io", at, stringAt(claim, "resourceClaimTemplateName"), false)
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
