package registry

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// group is the objects that are cleaned together, with the indexes that rules
// need. It is built once and read only.
type group struct {
	members []*member
	byUID   map[string]*member   // those beside as well
	byID    map[identity]*member // members only
	beside  map[identity]*member // objects that get no manifest

	// definitions are the custom resources that definitions in the group define.
	definitions map[schema.GroupKind]CustomResource

	// tokens are the Secrets that some ServiceAccount lists, by namespace/name.
	tokens map[identity]bool
}

// identity names an object within a cluster.
type identity struct {
	kind            schema.GroupKind
	namespace, name string
}

// member is one object of a group.
type member struct {
	object *Object
	id     identity
	uid    string         // metadata.uid, "" for an object that no API server stored
	stored map[string]any // the object's Content; not to be written to, nil when unreadable
	why    string         // why stored is nil
	other  bool           // stands beside: gets no manifest

	intent *intent // made at first use
}

func newGroup(objects, beside []*Object) *group {
	g := &group{
		byUID: map[string]*member{}, byID: map[identity]*member{}, beside: map[identity]*member{},
		definitions: map[schema.GroupKind]CustomResource{}, tokens: map[identity]bool{},
	}
	for _, o := range objects {
		m := newMember(o)
		g.members = append(g.members, m)
		g.byID[m.id] = m
		if m.uid != "" {
			g.byUID[m.uid] = m
		}
		if m.stored == nil {
			continue
		}
		if IsDefinition(o.Key) {
			// A definition that does not parse defines nothing; reading it has
			// left a Problem already.
			if custom, err := ParseDefinition(essence(m)); err == nil {
				g.definitions[schema.GroupKind{Group: custom.Group, Kind: custom.Kind}] = custom
			}
		}
		if m.id.kind.Kind == "ServiceAccount" {
			for _, ref := range listAt(m.stored, "secrets") {
				g.tokens[identity{kindSecret, m.id.namespace, stringAt(ref, "name")}] = true
			}
		}
	}
	for _, o := range beside {
		m := newMember(o)
		m.other = true
		g.beside[m.id] = m
		if m.uid != "" {
			g.byUID[m.uid] = m
		}
	}
	return g
}

// essence is a definition reduced to what rules look at, so that a field which
// a rule drops cannot decide whether the definition counts.
func essence(m *member) *Object {
	pick := func(from map[string]any, keys ...string) map[string]any {
		picked := map[string]any{}
		for _, key := range keys {
			if value, ok := from[key]; ok {
				picked[key] = value
			}
		}
		return picked
	}
	spec := pick(mapAt(m.stored, "spec"), "group", "names", "scope", "version", "subresources")
	spec["conversion"] = pick(mapAt(m.stored, "spec", "conversion"), "strategy")
	var versions []any
	for _, v := range listAt(m.stored, "spec", "versions") {
		versions = append(versions, pick(mapAt(v), "name", "served", "storage", "subresources"))
	}
	if len(versions) > 0 {
		spec["versions"] = versions
	}
	return &Object{Key: m.object.Key, GVK: m.object.GVK, content: map[string]any{"spec": spec}}
}

func newMember(o *Object) *member {
	m := &member{object: o, id: identity{o.GVK.GroupKind(), o.Namespace, o.Name}}
	content, err := o.Content()
	switch {
	case err != nil:
		m.why = err.Error()
		return m
	case content == nil || hasProblem(o, Locked, Undecodable, UnknownKind):
		m.why = "nothing beyond its raw bytes can be read"
		for _, p := range o.Problems {
			m.why = p.String()
		}
		return m
	}
	m.stored = content
	m.uid = stringAt(content, "metadata", "uid")
	return m
}

func hasProblem(o *Object, codes ...ProblemCode) bool {
	for _, p := range o.Problems {
		for _, c := range codes {
			if p.Code == c {
				return true
			}
		}
	}
	return false
}

// custom tells an object of a kind that Kubernetes itself does not have.
func (m *member) custom() bool {
	_, builtin := LookupKind(m.id.kind)
	return !builtin
}

// find returns the readable object of a kind and name that will be created
// again: one that was being deleted is as good as gone.
func (g *group) find(kind schema.GroupKind, namespace, name string) *member {
	m := g.byID[identity{kind, namespace, name}]
	if m == nil || m.stored == nil || isDeleting(m) {
		return nil
	}
	return m
}

func isDeleting(m *member) bool { return valueAt(m.stored, "metadata", "deletionTimestamp") != nil }

// String names the object for a reason or a note. Names came out of a file.
func (m *member) String() string {
	if m.id.namespace == "" {
		return fmt.Sprintf("%s %q", m.id.kind.Kind, m.id.name)
	}
	return fmt.Sprintf("%s %q", m.id.kind.Kind, m.id.namespace+"/"+m.id.name)
}

// valueAt walks down maps; nil when there is nothing.
func valueAt(node any, path ...string) any {
	for _, key := range path {
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[key]
	}
	return node
}

func stringAt(node any, path ...string) string {
	s, _ := valueAt(node, path...).(string)
	return s
}

func boolAt(node any, path ...string) bool {
	b, _ := valueAt(node, path...).(bool)
	return b
}

func mapAt(node any, path ...string) map[string]any {
	m, _ := valueAt(node, path...).(map[string]any)
	return m
}

func listAt(node any, path ...string) []any {
	l, _ := valueAt(node, path...).([]any)
	return l
}
