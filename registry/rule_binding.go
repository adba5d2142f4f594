package registry

import (
	"cmp"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var kindClaim = schema.GroupKind{Kind: "PersistentVolumeClaim"}

// cutBinding drops the uid of a reference at path from what holds data to what
// asks for it, so that the two find each other again. bound says whether they
// were bound when the backup was made; it decides when the other's uid is not
// at hand.
//
// A uid that is another's stays: what holds the data was released by an object
// of this name that is gone, and a new one must not come by its data.
func (e *edit) cutBinding(kind schema.GroupKind, bound bool, path ...any) {
	ref := mapAt(at(e.content, path))
	uid, id := stringAt(ref, "uid"), identity{kind, stringAt(ref, "namespace"), stringAt(ref, "name")}
	other := cmp.Or(e.byID[id], e.beside[id])
	switch {
	case uid == "":
	case other != nil && other.deleting:
		bound = false
	case other != nil && other.uid != "":
		bound = other.uid == uid
	}
	e.drop(append(path[:len(path):len(path)], "resourceVersion")...)
	switch {
	case uid == "":
	case bound && !e.isManifest(): // in a manifest it was kept on purpose
		e.drop(append(path[:len(path):len(path)], "uid")...)
	default:
		e.note("belongs to a %s %q that is gone or was going: it stays released and nothing binds to its data; to have it bound again remove %s with kubectl patch",
			kind.Kind, id.namespace+"/"+id.name, pathString(append(path[:len(path):len(path)], "uid")))
	}
}
