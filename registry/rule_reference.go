package registry

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// referenceRules cut the uids by which objects name others: the new ones have
// others. Owners, the claims of volumes and the snapshots of contents have
// rules of their own.
func referenceRules() []Rule {
	return []Rule{{
		ID: "uid-references", Why: "an object that is created again has another uid; who compares it takes the new object for a stranger",
		Source: "kubernetes pkg/apis/core/types.go, ObjectReference",
		apply:  cutReferences,
	}}
}

// referenceNames are fields that hold a reference to another object, beyond
// those whose name ends in Ref, Reference or their plurals.
func referenceNames() []string {
	return []string{"involvedObject", "regarding", "related", "target", "resource", "object", "source", "owner", "parent"}
}

// isReference tells a map that names another object by uid. A custom resource
// may have a field called uid for reasons of its own: there the map has to
// stand under a name of a reference and say what it names.
func isReference(node map[string]any, path []any) bool {
	if len(path) == 0 || stringAt(node, "uid") == "" || stringAt(node, "name") == "" {
		return false
	}
	name := strings.TrimSuffix(strings.ToLower(lastName(path)), "s")
	if strings.HasSuffix(name, "ref") || strings.HasSuffix(name, "reference") {
		return true
	}
	for _, known := range referenceNames() {
		if name == strings.ToLower(known) && stringAt(node, "kind") != "" {
			return true
		}
	}
	return false
}

// cutReferences drops a uid that is proved to be that of an object of the
// backup. One that belongs to an object of the same name which is gone is kept:
// without it the reference would lead to the wrong one.
func cutReferences(e *edit) {
	switch e.id.kind {
	case kindVolume, kindSnapshotContent, kindGroupSnapshotContent, crdKind:
		return
	}
	var found [][]any
	walk(e.content, nil, func(node map[string]any, path []any) {
		target := e.byUID[stringAt(node, "uid")]
		proved := len(path) > 0 && target != nil && target.id.name == stringAt(node, "name")
		if proved || isReference(node, path) {
			found = append(found, path)
		}
	})
	for _, path := range found {
		node := mapAt(at(e.content, path))
		target := e.byUID[stringAt(node, "uid")]
		switch {
		case target != nil && target.id.name == stringAt(node, "name"), !e.custom():
			// What Kubernetes' own types say of Pods behind endpoints is for people.
			e.drop(append(path[:len(path):len(path)], "uid")...)
			e.drop(append(path[:len(path):len(path)], "resourceVersion")...)
		default:
			e.note("%s names %s %q by a uid: %s", pathString(path), cmp.Or(stringAt(node, "kind"), "an object"), stringAt(node, "name"), e.whyKept(node))
		}
	}
}

// whyKept says why the uid of a reference stays.
func (e *edit) whyKept(node map[string]any) string {
	group, _, versioned := strings.Cut(stringAt(node, "apiVersion"), "/")
	if !versioned {
		group = ""
	}
	id := identity{schema.GroupKind{Group: group, Kind: stringAt(node, "kind")}, cmp.Or(stringAt(node, "namespace"), e.id.namespace), stringAt(node, "name")}
	if cmp.Or(e.byID[id], e.beside[id]) != nil {
		return "it is that of an older object of this name, and is kept"
	}
	return "it is kept, and fits only while the cluster has that object; one that is created again has another"
}
