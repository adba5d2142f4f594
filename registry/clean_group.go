package registry

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// group is the objects that are cleaned together, with the indexes that rules
// need. It is built once and read only.
type group struct {
	members []*member
	convert func(*Object)
	by      map[*Object]*member  // members only
	byUID   map[string]*member   // those beside as well
	byID    map[identity]*member // members only
	beside  map[identity]*member // objects that get no manifest

	// definitions are the custom resources that definitions in the group define.
	definitions map[schema.GroupKind]CustomResource
	embedded    map[schema.GroupKind]map[string][][]string // where their objects hold others, by version
	converters  map[schema.GroupKind]identity              // the Services of their conversion webhooks

	whole map[place]bool // all of the backup; nil where the group is not

	keepNodePorts bool
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
	uid    string // metadata.uid, "" for an object that no API server stored
	other  bool   // stands beside: gets no manifest

	readable bool
	why      string // why it is not
	deleting bool   // was being deleted
	selects  bool   // has spec.selector, as a Service that finds its Pods by itself
	taken    bool   // the content of a snapshot that is in the storage
}

func newGroup(objects []*Object, opts CleanOptions) *group {
	g := &group{
		convert: opts.Convert, keepNodePorts: opts.KeepNodePorts, by: map[*Object]*member{},
		byUID: map[string]*member{}, byID: map[identity]*member{}, beside: map[identity]*member{},
		definitions: map[schema.GroupKind]CustomResource{},
		embedded:    map[schema.GroupKind]map[string][][]string{}, converters: map[schema.GroupKind]identity{},
	}
	if opts.Whole {
		g.whole = make(map[place]bool, len(objects)+len(opts.Beside))
		for _, o := range slices.Concat(objects, opts.Beside) {
			g.whole[place{o.Key.GroupResource(), o.Key.Namespace, o.Key.Name}] = true
		}
	}
	for o, read := range inOrder(slices.Values(objects), func(o *Object) memberRead { return readMember(o, opts.Convert) }) {
		m, stored := read.member, read.stored
		g.members = append(g.members, m)
		g.by[o], g.byID[m.id] = m, m
		if m.uid != "" {
			g.byUID[m.uid] = m
		}
		if !m.readable {
			continue
		}
		if IsDefinition(o.Key) {
			g.define(o, stored)
		}
	}
	for _, read := range inOrder(slices.Values(opts.Beside), func(o *Object) memberRead { return readMember(o, nil) }) {
		m := read.member
		m.other = true
		g.beside[m.id] = m
		if m.uid != "" {
			g.byUID[m.uid] = m
		}
		if m.readable && IsDefinition(m.object.Key) {
			g.define(m.object, read.stored)
		}
	}
	return g
}

// define takes from a definition what rules ask about its objects. One that
// does not parse defines nothing; reading it has left a Problem already.
func (g *group) define(o *Object, stored map[string]any) {
	custom, err := ParseDefinition(essence(o, stored))
	if err != nil {
		return
	}
	gk := schema.GroupKind{Group: custom.Group, Kind: custom.Kind}
	g.definitions[gk] = custom
	if embedded := embeddedObjects(stored); len(embedded) > 0 {
		g.embedded[gk] = embedded
	}
	service := mapAt(stored, "spec", "conversion", "webhook", "clientConfig", "service")
	if service == nil { // v1beta1
		service = mapAt(stored, "spec", "conversion", "webhookClientConfig", "service")
	}
	if name := stringAt(service, "name"); name != "" {
		g.converters[gk] = identity{kindService, stringAt(service, "namespace"), name}
	}
}

// essence is a definition reduced to what rules look at, so that a field which
// a rule drops cannot decide whether the definition counts.
func essence(o *Object, stored map[string]any) *Object {
	pick := func(from map[string]any, keys ...string) map[string]any {
		picked := map[string]any{}
		for _, key := range keys {
			if value, ok := from[key]; ok {
				picked[key] = value
			}
		}
		return picked
	}
	spec := pick(mapAt(stored, "spec"), "group", "names", "scope", "version", "subresources")
	spec["conversion"] = pick(mapAt(stored, "spec", "conversion"), "strategy")
	var versions []any
	for _, v := range listAt(stored, "spec", "versions") {
		versions = append(versions, pick(mapAt(v), "name", "served", "storage", "subresources"))
	}
	if len(versions) > 0 {
		spec["versions"] = versions
	}
	return &Object{Key: o.Key, GVK: o.GVK, content: map[string]any{"spec": spec}}
}

// memberRead is a member, with its content where that is a definition's.
type memberRead struct {
	member *member
	stored map[string]any
}

func readMember(o *Object, convert func(*Object)) memberRead {
	m, stored := newMember(o, convert)
	if !IsDefinition(o.Key) {
		stored = nil // there may be a million others
	}
	return memberRead{m, stored}
}

// newMember reads of an object what others may ask about it. stored is its
// content, not to be written to; nil when it is not readable.
func newMember(o *Object, convert func(*Object)) (m *member, stored map[string]any) {
	loaded := load(o, convert)
	if loaded != o {
		o.GVK, o.Problems = loaded.GVK, loaded.Problems
	}
	m = &member{object: o, id: identity{o.GVK.GroupKind(), o.Namespace, o.Name}}
	if m.quick(loaded) {
		return m, nil
	}
	stored, err := loaded.Content()
	switch {
	case err != nil:
		m.why = err.Error()
		return m, nil
	case stored == nil || hasProblem(o, Locked, Undecodable, UnknownKind):
		m.why = "nothing beyond its raw bytes can be read"
		for _, p := range o.Problems {
			m.why = p.String()
		}
		return m, nil
	}
	m.readable = true
	m.uid = stringAt(stored, "metadata", "uid")
	m.deleting = valueAt(stored, "metadata", "deletionTimestamp") != nil
	// Services of type ExternalName get no endpoints, whatever they select.
	m.selects = len(mapAt(stored, "spec", "selector")) > 0 && stringAt(stored, "spec", "type") != "ExternalName"
	if m.id.kind == kindSnapshotContent || m.id.kind == kindGroupSnapshotContent {
		m.taken = hasHandle(stored) || takenSource(m.id.kind, stored) != nil
	}
	return m, stored
}

// quick reads what most kinds are asked for from the Go type, without making its
// content, which is most of the work. It reports false where that does not do.
func (m *member) quick(loaded *Object) bool {
	if loaded.Typed == nil || loaded.content != nil || len(m.object.Problems) > 0 || IsDefinition(m.object.Key) || m.id.kind == kindService {
		return false
	}
	accessor, err := meta.Accessor(loaded.Typed)
	if err != nil {
		return false
	}
	m.readable, m.uid, m.deleting = true, string(accessor.GetUID()), !accessor.GetDeletionTimestamp().IsZero()
	return true
}

// load is the object in the version that is wanted: the object itself, or a
// copy of one that Select returned.
func load(o *Object, convert func(*Object)) *Object {
	if o.released && o.content == nil {
		o = o.decoded()
	}
	if convert != nil {
		convert(o)
	}
	return o
}

// member finds the member that an object became.
func (g *group) member(o *Object) *member { return g.by[o] }

// clean runs the rules over a copy of a member.
func (g *group) clean(m *member, rules []Rule) (*edit, error) {
	e := &edit{group: g, member: m}
	if m.readable {
		// The version is wanted once only: what stood there is converted already.
		convert := g.convert
		if !m.object.released {
			convert = nil
		}
		var err error
		if e.stored, err = load(m.object, convert).Content(); err != nil {
			return nil, fmt.Errorf("reading %s: %w", m.object, err)
		}
	}
	e.run(rules)
	return e, nil
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
	if m == nil || !m.readable || m.deleting {
		return nil
	}
	return m
}

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
