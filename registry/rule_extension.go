package registry

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// extensionRules clean what extends the API: webhooks, aggregated API
// services, definitions and the custom resources themselves.
func extensionRules() []Rule {
	webhooks := kinds("ValidatingWebhookConfiguration.admissionregistration.k8s.io", "MutatingWebhookConfiguration.admissionregistration.k8s.io")
	definition := kinds("CustomResourceDefinition.apiextensions.k8s.io")
	return []Rule{
		{
			ID: "webhook-ca-bundle", Kinds: append(definition, append(webhooks, schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"})...),
			Why:    "an injector fills in the CA of the new cluster; one that was written by hand is kept",
			Source: "cert-manager pkg/controller/cainjector; OpenShift service-ca",
			apply:  dropInjectedCA,
		},
		{
			ID: "webhook-side-effects", Kinds: webhooks,
			Why:    "v1 refuses Some and Unknown, which v1beta1 allowed (velero#3516)",
			Source: "kubernetes pkg/apis/admissionregistration/validation/validation.go",
			apply: func(e *edit) {
				for i, hook := range listAt(e.stored, "webhooks") {
					if effects := stringAt(hook, "sideEffects"); effects == "Some" || effects == "Unknown" {
						e.change("None", "webhooks", i, "sideEffects")
						e.note("webhook %q had side effects %q, which v1 refuses; it says None now", stringAt(hook, "name"), effects)
					}
				}
			},
		},
		{
			ID: "webhook-failure-policy", Kinds: webhooks,
			Why:    "with policy Fail and no backend every request that it matches is refused; the operator is told",
			Source: "apiserver pkg/admission/plugin/webhook",
			apply: func(e *edit) {
				for _, hook := range listAt(e.stored, "webhooks") {
					if stringAt(hook, "failurePolicy") == "Fail" {
						e.note("webhook %q has failurePolicy Fail: what it matches is refused until its backend answers", stringAt(hook, "name"))
					}
				}
			},
		},
		{
			ID: "definition-unknown-fields", Kinds: definition,
			Why:    "v1 refuses preserveUnknownFields, which v1beta1 had by default; a flag in the schema means the same",
			Source: "apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go; velero pkg/restore",
			apply:  preserveInSchema,
		},
		{
			ID:     "custom-unserved",
			Why:    "a version that the definition does not serve cannot be created; without a conversion webhook all versions are the same but for their name",
			Source: "apiextensions-apiserver pkg/apiserver/conversion/nop_converter.go",
			apply:  serveCustom,
		},
	}
}

// dropInjectedCA drops CA bundles that an injector put in, and notes the others.
func dropInjectedCA(e *edit) {
	injected := false
	for key := range mapAt(e.stored, "metadata", "annotations") {
		switch key {
		case "cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret", "cert-manager.io/inject-apiserver-ca",
			"certmanager.k8s.io/inject-ca-from", "certmanager.k8s.io/inject-apiserver-ca",
			"service.beta.openshift.io/inject-cabundle", "service.alpha.openshift.io/inject-cabundle":
			injected = true
		}
	}
	paths := [][]any{{"spec", "caBundle"}, {"spec", "conversion", "webhook", "clientConfig", "caBundle"}}
	for i := range listAt(e.stored, "webhooks") {
		paths = append(paths, []any{"webhooks", i, "clientConfig", "caBundle"})
	}
	for _, path := range paths {
		bundle := at(e.content, path)
		switch {
		case bundle == nil || bundle == "":
		case injected:
			e.drop(path...)
		default:
			e.note("%s was written by hand and is kept: its backend needs a certificate of that CA", pathString(path))
		}
	}
}

// preserveInSchema does to a definition what the API server of 1.15 to 1.21
// meant by preserveUnknownFields: true. A version without a schema, which v1
// refuses too, gets the one that takes everything.
func preserveInSchema(e *edit) {
	if !boolAt(e.stored, "spec", "preserveUnknownFields") {
		return
	}
	e.drop("spec", "preserveUnknownFields")
	for i, version := range listAt(e.stored, "spec", "versions") {
		if mapAt(version) == nil {
			continue
		}
		if mapAt(version, "schema", "openAPIV3Schema") == nil {
			schema := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
			e.change(map[string]any{"openAPIV3Schema": schema}, "spec", "versions", i, "schema")
			continue
		}
		e.change(true, "spec", "versions", i, "schema", "openAPIV3Schema", "x-kubernetes-preserve-unknown-fields")
	}
}

// waitForConverter puts a custom resource behind the backend of its webhook:
// what is not of the stored version is converted at its creation.
func (e *edit) waitForConverter() {
	service, ok := e.converters[e.id.kind]
	if !ok {
		return // the webhook stands outside the cluster
	}
	e.behind = &service
	if e.find(kindService, service.namespace, service.name) == nil {
		e.note("is converted at its creation by the webhook of Service %q, which is not among the objects and has to answer first", service.namespace+"/"+service.name)
	}
}

// serveCustom gives a custom resource a version that its definition serves.
func serveCustom(e *edit) {
	if !e.custom() {
		return
	}
	definition, ok := e.definitions[e.id.kind]
	if !ok {
		e.note("its CustomResourceDefinition is not among the objects")
		return
	}
	id := identity{crdKind, "", definition.Plural + "." + definition.Group}
	if m := cmp.Or(e.byID[id], e.beside[id]); m != nil && m.deleting {
		e.note("its CustomResourceDefinition was being deleted, and all its objects with it")
	}
	group, version, _ := strings.Cut(stringAt(e.stored, "apiVersion"), "/")
	if v, found := definition.Version(version); found && v.Served {
		if definition.Conversion == "Webhook" && !v.Storage {
			e.waitForConverter()
		}
		return
	}
	served := definition.Preferred()
	if served == "" || definition.Conversion == "Webhook" {
		e.rule = Unserved
		e.miss("its definition does not serve version %q, and only its webhook could convert it; profile raw gives it as it is stored", version)
		return
	}
	e.change(group+"/"+served, "apiVersion")
	e.note("was stored as version %q, which its definition does not serve; it is %q now", version, served)
}
