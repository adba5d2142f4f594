package registry

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// nestedMetadata finds the ObjectMeta inside an object: of Pod templates, of
// claim templates, and in custom resources of whatever their schema calls an
// embedded object, or what looks like a template. The paths are those of the
// maps called metadata, in a fixed order.
func (e *edit) nestedMetadata() [][]any {
	if e.id.kind == crdKind {
		return nil // a schema has properties of that name
	}
	_, version, _ := strings.Cut(stringAt(e.stored, "apiVersion"), "/")
	patterns := e.embedded[e.id.kind][version]
	var found [][]any
	walk(e.content, nil, func(node map[string]any, path []any) {
		if len(path) == 0 || mapAt(node, "metadata") == nil {
			return
		}
		// In Kubernetes' own types every field of that name is an ObjectMeta.
		if !e.custom() || isTemplate(path) || isObject(node) || slices.ContainsFunc(patterns, func(p []string) bool { return pathMatches(p, path) }) {
			found = append(found, append(slices.Clone(path), "metadata"))
		}
	})
	return found
}

// walk visits every map below value, the outer before the inner, keys in their
// order. The object's own metadata and status are passed over: rules of their
// own look at those.
func walk(value any, path []any, visit func(node map[string]any, path []any)) {
	switch v := value.(type) {
	case map[string]any:
		visit(v, path)
		for _, key := range sortedKeys(v) {
			if len(path) == 0 && (key == "metadata" || key == "status") {
				continue
			}
			walk(v[key], append(path[:len(path):len(path)], key), visit)
		}
	case []any:
		for i, item := range v {
			walk(item, append(path[:len(path):len(path)], i), visit)
		}
	}
}

// isTemplate tells a path whose last name is that of a template: template,
// podTemplate, volumeClaimTemplates[3].
func isTemplate(path []any) bool {
	name := strings.ToLower(lastName(path))
	return strings.HasSuffix(name, "template") || strings.HasSuffix(name, "templates")
}

// lastName is the last key of a path, behind which only indexes stand.
func lastName(path []any) string {
	for _, step := range slices.Backward(path) {
		if name, ok := step.(string); ok {
			return name
		}
	}
	return ""
}

// isObject tells a map that is a whole object.
func isObject(node map[string]any) bool {
	return stringAt(node, "apiVersion") != "" && stringAt(node, "kind") != ""
}

// Steps of a pattern that stand for any item of a list or any key of a map.
const (
	anyItem = "[]"
	anyKey  = "{}"
)

func pathMatches(pattern []string, path []any) bool {
	return slices.EqualFunc(pattern, path, func(want string, step any) bool {
		name, isKey := step.(string)
		if !isKey {
			return want == anyItem
		}
		return want == anyKey || want == name
	})
}

// embeddedObjects are, by version, the patterns of paths at which the schemas of
// a definition have an object with metadata of its own.
func embeddedObjects(definition map[string]any) map[string][][]string {
	found := map[string][][]string{}
	shared := mapAt(definition, "spec", "validation", "openAPIV3Schema") // v1beta1
	for _, version := range listAt(definition, "spec", "versions") {
		root := mapAt(version, "schema", "openAPIV3Schema")
		if root == nil {
			root = shared
		}
		if patterns := embeddedIn(root, nil); len(patterns) > 0 {
			found[stringAt(version, "name")] = patterns
		}
	}
	if name := stringAt(definition, "spec", "version"); name != "" && found[name] == nil {
		found[name] = embeddedIn(shared, nil)
	}
	return found
}

func embeddedIn(node map[string]any, path []string) (found [][]string) {
	const deepest = 64
	if node == nil || len(path) > deepest {
		return nil
	}
	if len(path) > 0 && (boolAt(node, "x-kubernetes-embedded-resource") || isObjectMeta(mapAt(node, "properties", "metadata"))) {
		found = append(found, path)
	}
	below := func(step string, child map[string]any) {
		found = append(found, embeddedIn(child, append(path[:len(path):len(path)], step))...)
	}
	properties := mapAt(node, "properties")
	for _, name := range sortedKeys(properties) {
		below(name, mapAt(properties, name))
	}
	below(anyItem, mapAt(node, "items"))
	below(anyKey, mapAt(node, "additionalProperties"))
	return found
}

// isObjectMeta tells the schema of an ObjectMeta: it has more than one of the
// fields that a cluster sets.
func isObjectMeta(node map[string]any) bool {
	n := 0
	for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "ownerReferences", "finalizers", "managedFields", "selfLink", "deletionTimestamp"} {
		if valueAt(node, "properties", name) != nil {
			n++
		}
	}
	return n > 1
}

var crdKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// nestedRules do to metadata inside an object what metadataRules do to its own.
func nestedRules() []Rule {
	return []Rule{
		{
			ID: "nested-metadata", Why: "what is made of a template inherits from it: a claim with a dangling owner is garbage-collected, with its disk",
			Source: "kubernetes pkg/controller/statefulset/stateful_set_utils.go, getPersistentVolumeClaims; rabbitmq/cluster-operator#855",
			apply: func(e *edit) {
				for _, path := range e.nestedMetadata() {
					e.dropItems(func(any) bool { return true }, append(path, "ownerReferences")...)
					for _, name := range []string{
						"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
						"selfLink", "generation", "managedFields", "ownerReferences",
					} {
						e.drop(append(path[:len(path):len(path)], name)...)
					}
					for _, key := range append(claimAnnotations(), lastApplied) { // a claim that is born bound is Lost
						e.drop(append(path[:len(path):len(path)], "annotations", key)...)
					}
				}
			},
		},
		{
			ID: "nested-finalizers", Why: "what is made of a template inherits its finalizers, and nobody may be there to remove them",
			Source: "kubernetes pkg/controller/controller_utils.go, GetPodFromTemplate",
			apply: func(e *edit) {
				for _, path := range e.nestedMetadata() {
					e.dropItems(func(f any) bool {
						if s, ok := f.(string); ok && !isSystemFinalizer(s) {
							e.note("finalizer %q in %s was dropped", s, pathString(path))
						}
						return true
					}, append(path[:len(path):len(path)], "finalizers")...)
				}
			},
		},
	}
}
