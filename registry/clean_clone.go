package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Clone says that the objects of a namespace are wanted in another one, beside
// those they are copies of.
type Clone struct{ From, To string }

// Validate refuses names that no namespace has.
func (c Clone) Validate() error {
	if problems := validation.IsDNS1123Label(c.To); len(problems) > 0 {
		return fmt.Errorf("namespace %q: %s", c.To, problems[0])
	}
	if c.From == c.To {
		return errors.New("the clone's namespace is the original's")
	}
	return nil
}

// cloneRules put objects into another namespace. They stand behind all others:
// what those look for are the originals.
func (c Clone) rules() []Rule {
	return []Rule{
		{
			ID: "clone-namespace", Why: "the object is wanted in another namespace",
			Source: "extract --to-namespace", apply: c.move,
		},
		{
			ID: "clone-service", Kinds: kinds("Service"),
			Why:    "node ports and addresses belong to the whole cluster, and the original has them: \"provided port is already allocated\"",
			Source: "kubernetes pkg/registry/core/service/storage/alloc.go", apply: dropAddresses,
		},
		{
			ID: "clone-volume-name", Kinds: kinds("PersistentVolumeClaim"),
			Why:    "the volume is bound to the original's claim: one that names it as well waits for ever",
			Source: "kubernetes pkg/controller/volume/persistentvolume/pv_controller.go, syncUnboundClaim",
			apply: func(e *edit) {
				if name := stringAt(e.content, "spec", "volumeName"); name != "" {
					e.drop("spec", "volumeName")
					e.note("its PersistentVolume %q stays the original's: the clone begins with an empty one", name)
				}
			},
		},
		{
			ID: "clone-reference", Why: "it names the original's namespace, and means the clone's",
			Source: "the fields of k8s.io/api that name a namespace", apply: c.follow,
		},
		{
			ID: "clone-collision", Why: "a name of the cluster exists once: created beside the original it is refused, applied over it the original loses it",
			Source: "velero#6328, crane#732", apply: c.collide,
		},
		{
			ID: "clone-likeness", Why: "a text may name the namespace by chance: only its owner knows",
			Source: "velero#6328", apply: c.list,
		},
	}
}

// move gives the object its new namespace.
func (c Clone) move(e *edit) {
	switch {
	case e.id.kind == kindNamespace && e.id.name == c.From:
		e.change(c.To, "metadata", "name")
		if stringAt(e.content, "metadata", "labels", namespaceLabel) != "" {
			e.change(c.To, "metadata", "labels", namespaceLabel)
		}
	case e.id.namespace == c.From:
		e.change(c.To, "metadata", "namespace")
	}
}

// named is the object with the names that the clone has.
func (c Clone) named(o *Object) *Object {
	renamed := *o
	switch {
	case o.Namespace == c.From:
		renamed.Namespace = c.To
	case o.GVK.GroupKind() == kindNamespace && o.Name == c.From:
		renamed.Name = c.To
	}
	return &renamed
}

func dropAddresses(e *edit) {
	for i := range listAt(e.content, "spec", "ports") {
		e.drop("spec", "ports", i, "nodePort")
	}
	e.drop("spec", "healthCheckNodePort")
	if ip := stringAt(e.content, "spec", "clusterIP"); ip != "" && ip != "None" {
		e.drop("spec", "clusterIP")
		e.drop("spec", "clusterIPs")
		e.notes = slices.DeleteFunc(e.notes, func(note string) bool { return note == keptAddress })
	}
	if stringAt(e.content, "spec", "loadBalancerIP") != "" {
		e.drop("spec", "loadBalancerIP")
	}
}

// collide marks what the whole cluster has once. What did not name the
// namespace is the original's as well, and applying it changes nothing.
func (c Clone) collide(e *edit) {
	if e.id.namespace != "" || e.id.kind == kindNamespace {
		return
	}
	if !slices.ContainsFunc(e.changes, func(ch Change) bool { return ch.Rule == "clone-reference" }) {
		e.exists = true
		return
	}
	e.collides = true
	e.note("belongs to the whole cluster and means namespace %q now: create it where the original is gone, or under another metadata.name", c.To)
}

// list names the places where a text has the namespace's name as a word.
func (c Clone) list(e *edit) {
	const most = 5
	var places []string
	walkTexts(e.content, nil, func(text string, path []any) {
		if stringAt(e.content, "kind") == "Secret" && len(path) > 0 && path[0] == "data" {
			text = decodedText(text)
		}
		if identity := pathString(path); identity != "apiVersion" && identity != "metadata.name" && hasWord(text, c.From) {
			places = append(places, pathString(path))
		}
	})
	if len(places) == 0 {
		return
	}
	more := ""
	if n := len(places) - most; n > 0 {
		places, more = places[:most], fmt.Sprintf(" and %d more places", n)
	}
	e.note("has %q in %s%s, which is left as it is", c.From, strings.Join(places, ", "), more)
}
