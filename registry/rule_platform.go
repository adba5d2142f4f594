package registry

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// platformRules tell what those who run the cluster have to say about an object.
func platformRules() []Rule {
	return []Rule{{
		ID: "heritage-deckhouse", Why: "Deckhouse's admission policy refuses objects with its label from everybody else; the module that made one makes it again",
		Source: "deckhouse/deckhouse modules/002-deckhouse, ValidatingAdmissionPolicy label-objects.deckhouse.io; deckhouse#10752",
		apply: func(e *edit) {
			labels := mapAt(e.stored, "metadata", "labels")
			if stringAt(labels, "heritage") != "deckhouse" {
				return
			}
			module := "its module"
			if name := stringAt(labels, "module"); name != "" {
				module = fmt.Sprintf("its module %q", name)
			}
			e.note("is labelled heritage: deckhouse, which Deckhouse's admission policy refuses from anybody else: %s makes it again", module)
		},
	}}
}

// noteOwners says which owners an object loses. Those of Kubernetes' own
// controllers take their children back by their selectors.
func (e *edit) noteOwners() {
	for _, item := range listAt(e.stored, "metadata", "ownerReferences") {
		kind, name := stringAt(item, "kind"), stringAt(item, "name")
		gv, err := schema.ParseGroupVersion(stringAt(item, "apiVersion"))
		if err != nil || kind == "" {
			continue
		}
		gk := gv.WithKind(kind).GroupKind()
		_, builtin := LookupKind(gk)
		owner := e.byUID[stringAt(item, "uid")]
		if owner == nil {
			namespaced, cluster := identity{gk, e.id.namespace, name}, identity{gk, "", name}
			owner = cmp.Or(e.byID[namespaced], e.beside[namespaced], e.byID[cluster])
		}
		switch {
		case builtin && boolAt(item, "controller"): // childRules, or adopted again
		case owner == nil && !builtin:
			e.note("its owner %s %q is not among the objects: nothing looks after it until that is there and takes it back", kind, name)
		case owner == nil:
		case boolAt(item, "controller"):
			e.note("its owner %s is in the backup and may make it again; the reference is cut, and a controller may refuse one that it does not own", owner)
		default:
			e.note("its owner %s is in the backup; the reference is cut, and it is no longer deleted together with it", owner)
		}
	}
}
