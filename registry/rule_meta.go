package registry

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// namespaceLabel is what the API server puts on every Namespace.
const namespaceLabel = "kubernetes.io/metadata.name"

// metadataRules clean what every kind has. They come last: the others read it.
func metadataRules() []Rule {
	field := func(id, why, source string, names ...string) Rule {
		return Rule{ID: id, Why: why, Source: source, apply: func(e *edit) {
			for _, name := range names {
				e.drop("metadata", name)
			}
		}}
	}
	return []Rule{
		{
			ID: InvalidName, Why: "an API server refuses the name",
			Source: "apimachinery pkg/api/validate/content, IsPathSegmentName; kubernetes pkg/apis/*/validation",
			apply: func(e *edit) {
				if why := refusedName(e); why != "" {
					e.miss("an API server refuses its name: %s", why)
				}
			},
		},
		field("resource-version", "\"resourceVersion should not be set on objects to be created\"; kubectl create drops it, other clients do not",
			"apiserver pkg/storage/etcd3/store.go, Create", "resourceVersion"),
		field("system-metadata", "the API server sets it anew, whatever it is given",
			"apiserver pkg/registry/rest/meta.go, WipeObjectMetaSystemFields", "uid", "creationTimestamp", "deletionTimestamp",
			"deletionGracePeriodSeconds", "selfLink"),
		field("generation", "strategies set it to 1",
			"apiserver pkg/registry/rest/create.go, PrepareForCreate", "generation"),
		field("generate-name", "the name is already generated",
			"apiserver pkg/registry/rest/create.go, BeforeCreate", "generateName"),
		{
			ID: "owner-references", Why: "the uid of its owner is an old one, and the garbage collector deletes what has a dangling owner (velero#7862)",
			Source: "kubernetes pkg/controller/garbagecollector/garbagecollector.go, isDangling",
			apply: func(e *edit) {
				e.noteOwners()
				e.dropItems(func(any) bool { return true }, "metadata", "ownerReferences")
				e.drop("metadata", "ownerReferences")
			},
		},
		{
			ID: "finalizers-system", Why: "the controllers of Kubernetes add theirs anew",
			Source: "apimachinery pkg/apis/meta/v1/types.go; kubernetes pkg/controller/*; kubernetes-csi",
			apply: func(e *edit) {
				e.dropItems(func(f any) bool { s, ok := f.(string); return ok && isSystemFinalizer(s) }, "metadata", "finalizers")
			},
		},
		{
			ID: "finalizers-custom", Why: "without its controller a finalizer keeps the object, and its namespace, from ever being deleted; with it, the controller adds it anew",
			Source: "velero#5580; apiserver pkg/registry/generic/registry/store.go",
			apply: func(e *edit) {
				e.dropItems(func(f any) bool {
					if s, ok := f.(string); ok {
						e.note("finalizer %q was dropped; its controller has to add it anew", s)
					}
					return true
				}, "metadata", "finalizers")
			},
		},
		{
			ID: "namespace-finalizers", Kinds: kinds("Namespace"),
			Why:    "the API server adds its own",
			Source: "kubernetes pkg/registry/core/namespace/strategy.go, PrepareForCreate",
			apply: func(e *edit) {
				e.dropItems(func(f any) bool {
					if s, ok := f.(string); ok && s != "kubernetes" {
						e.note("finalizer %q was dropped; its controller has to add it anew", s)
					}
					return true
				}, "spec", "finalizers")
			},
		},
		{
			ID: "namespace-name-label", Kinds: kinds("Namespace"),
			Why:    "the API server sets it to the name",
			Source: "kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_Namespace",
			apply:  func(e *edit) { e.drop("metadata", "labels", namespaceLabel) },
		},
		{
			ID: "status", Why: "strategies of built-in kinds wipe it; custom resources lose it where their definition has the status subresource, and keep it elsewhere: there it is a user's data",
			Source: "apiextensions-apiserver pkg/registry/customresource/strategy.go, PrepareForCreate",
			apply:  dropStatus,
		},
		field("managed-fields", "server-side apply refuses them (\"must be nil\"); the new cluster writes its own",
			"apimachinery pkg/util/managedfields/internal/structuredmerge.go", "managedFields"),
	}
}

// annotationRules clean annotations that every kind may have.
func annotationRules() []Rule {
	return []Rule{{
		ID: "status-annotations", Why: "a controller wrote it about the old object: it is a status in the form of annotations",
		Source: "kubernetes pkg/apis/autoscaling/annotations.go, pkg/controller/endpoint, pkg/controller/cronjob",
		apply: func(e *edit) {
			for _, key := range []string{
				"autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics",
				"endpoints.kubernetes.io/last-change-trigger-time", "batch.kubernetes.io/cronjob-scheduled-timestamp",
			} {
				e.drop("metadata", "annotations", key)
			}
		},
	}, {
		ID: "last-applied", Why: "it is an old copy of the object, of Secrets too, in plain text; kubectl apply would take it for its own last state",
		Source: "kubectl pkg/util/apply.go",
		apply:  func(e *edit) { e.drop("metadata", "annotations", lastApplied) },
	}}
}

func isSystemFinalizer(name string) bool {
	switch name {
	case "orphan", "foregroundDeletion",
		"service.kubernetes.io/load-balancer-cleanup", "batch.kubernetes.io/job-tracking",
		"networking.k8s.io/service-cidr-finalizer", "resource.kubernetes.io/delete-protection",
		"customresourcecleanup.apiextensions.k8s.io":
		return true
	}
	for _, prefix := range []string{
		"kubernetes.io/", // pvc-protection, pv-protection, vac-protection
		"external-provisioner.volume.kubernetes.io/", "external-attacher/", "external-resizer/",
		"snapshot.storage.kubernetes.io/",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func dropStatus(e *edit) {
	if e.content["status"] == nil && !hasKey(e.content, "status") {
		return
	}
	if !e.custom() {
		e.drop("status")
		return
	}
	// Without the definition nobody can tell; an API server that has the
	// subresource drops the status by itself.
	_, version, _ := strings.Cut(stringAt(e.content, "apiVersion"), "/")
	if v, ok := e.definitions[e.id.kind].Version(version); ok && v.Status {
		e.drop("status")
	}
}

func hasKey(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

// refusedName is why an API server would refuse the object's name, "" if it
// would not. Roles and their like may have any name that fits into a path.
func refusedName(e *edit) string {
	name, namespace := stringAt(e.stored, "metadata", "name"), stringAt(e.stored, "metadata", "namespace")
	if name != e.id.name || namespace != e.id.namespace {
		return "metadata and object disagree"
	}
	if name == "" {
		return "it is empty"
	}
	why := content.IsPathSegmentName(name)
	switch {
	case e.custom() && e.object.Key.Group == "": // an aggregated API server's, which has rules of its own: images of OpenShift are sha256:…
	case e.custom(), isSubdomainKind(e.id.kind):
		why = append(why, validation.IsDNS1123Subdomain(name)...)
	case e.id.kind == kindNamespace, e.id.kind == kindService:
		why = append(why, validation.IsDNS1123Label(name)...)
	}
	if namespace != "" {
		why = append(why, validation.IsDNS1123Label(namespace)...)
	}
	// The texts of the validation quote no part of the name; what follows "(e.g."
	// are its regular expressions.
	for i := range why {
		why[i], _, _ = strings.Cut(why[i], " (e.g.")
	}
	return strings.Join(why, "; ")
}

// isSubdomainKind tells the kinds whose names are DNS subdomains.
func isSubdomainKind(gk schema.GroupKind) bool {
	switch gk.Group {
	case "":
		return gk != kindNamespace && gk != kindService && gk.Kind != "Event"
	case "apps", "batch", "autoscaling", "policy", "storage.k8s.io", "scheduling.k8s.io", "node.k8s.io", "apiextensions.k8s.io":
		return true
	case "networking.k8s.io":
		return gk.Kind != "IPAddress"
	}
	return false
}
