package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Closure is what chosen objects need beside themselves.
type Closure struct {
	Needs    []Need     // in the backup and not among the chosen, by key
	Dangling []Dangling // named and not in the backup

	// Webhooks are those that would refuse the chosen objects: with
	// failurePolicy Fail, and a backend that is among them or not there.
	Webhooks []string
}

// Need is an object that a chosen one needs.
type Need struct {
	Object *Object
	Reason string // "PriorityClass of deployments.apps infra/web"
}

// Dangling is a reference to what is not in the backup.
type Dangling struct {
	From  *Object
	To    Reference
	Field string // spec.template.spec.volumes[config].configMap

	Deleting bool // it is there, and was being deleted
}

func (d Dangling) String() string {
	to := d.To
	if builtin, ok := LookupKind(to.Kind); ok && builtin.Namespaced && to.Namespace != d.From.Namespace {
		to.Name = to.Namespace + "/" + to.Name
	}
	gone := "is not in the backup"
	if d.Deleting {
		gone = "was being deleted when the backup was made"
	}
	return fmt.Sprintf("%s names %s (%s), which %s", quoted(d.From), to, d.Field, gone)
}

// Reference names an object of a kind that Kubernetes itself has.
type Reference struct {
	Kind            schema.GroupKind
	Namespace, Name string
}

func (r Reference) String() string {
	return fmt.Sprintf("%s %q", r.Kind.Kind, r.Name)
}

// path is where the object is stored.
func (r Reference) path(prefix string) string {
	resource, ok := LookupKind(r.Kind)
	if !ok {
		return ""
	}
	path := prefix + "/" + resource.Prefix + "/"
	if resource.Namespaced {
		path += r.Namespace + "/"
	}
	return path + r.Name
}

// Closure finds what chosen objects need, step by step: classes, volumes,
// roles, the bindings of their ServiceAccounts, and the webhooks and APIServices
// that call into their Services. It makes one pass over the keys of their
// namespaces and the cluster's own, and decodes of them what may be needed.
func (r *Registry) Closure(ctx context.Context, chosen []*Object) (*Closure, error) {
	w := closureWalk{registry: r, closure: &Closure{}, all: map[string]*Object{}, taken: map[string]bool{}, namespaces: map[string]bool{}}
	for _, o := range chosen {
		w.taken[o.Key.Path] = true
		if o.Key.Namespace != "" {
			w.namespaces[o.Key.Namespace] = true
		}
	}
	for entry, err := range r.Entries(ctx, func(k Key) bool {
		named := k.Group == "" && slices.Contains([]string{"services", "serviceaccounts", "secrets"}, k.Plural) // from other namespaces, too
		return !k.System && (k.Namespace == "" || w.namespaces[k.Namespace] || named) && k.Plural != "events" && k.GroupResource() != leaseResource
	}) {
		if err != nil {
			return nil, err
		}
		o := &Object{Key: entry.Key, KV: entry.KV, Namespace: entry.Key.Namespace, Name: entry.Key.Name}
		w.all[entry.Key.Path] = o
	}
	for _, o := range chosen {
		w.follow(o)
	}
	// What is taken may be called by others in its turn.
	for known := -1; known < len(w.closure.Needs); {
		known = len(w.closure.Needs)
		w.callers(ctx, append(slices.Clone(chosen), w.needed()...))
		for len(w.queue) > 0 {
			o := w.queue[0]
			w.queue = w.queue[1:]
			w.follow(o)
		}
	}
	slices.SortFunc(w.closure.Needs, func(a, b Need) int { return strings.Compare(a.Object.Key.Path, b.Object.Key.Path) })
	sortDangling(w.closure.Dangling)
	slices.Sort(w.closure.Webhooks)
	w.closure.Webhooks = slices.Compact(w.closure.Webhooks)
	return w.closure, nil
}

func (w *closureWalk) needed() (objects []*Object) {
	for _, need := range w.closure.Needs {
		objects = append(objects, need.Object)
	}
	return objects
}

type closureWalk struct {
	registry   *Registry
	closure    *Closure
	all        map[string]*Object // by key, not decoded
	taken      map[string]bool
	namespaces map[string]bool
	queue      []*Object
}

// decode reads an object of the keyspace; it keeps its stored form alone.
func (w *closureWalk) decode(ctx context.Context, o *Object) *Object {
	full := w.registry.Decode(ctx, Entry{o.Key, o.KV})
	full.release()
	return full
}

// take adds an object with its reason, once.
func (w *closureWalk) take(path, reason string) {
	if o := w.all[path]; o != nil && !w.taken[path] {
		w.taken[path] = true
		full := w.decode(context.Background(), o)
		w.closure.Needs = append(w.closure.Needs, Need{full, reason})
		w.queue = append(w.queue, full)
	}
}

// follow takes what an object names.
func (w *closureWalk) follow(o *Object) {
	content, err := o.Content()
	if err != nil {
		return // its problems say it
	}
	for _, ref := range referencesIn(o.GVK.GroupKind(), o.Key.Namespace, content) {
		path := ref.to.path(w.registry.opts.Prefix)
		switch {
		case path == "" || w.taken[path] || ref.foreign && w.all[path] != nil:
		case w.all[path] != nil:
			w.take(path, fmt.Sprintf("%s of %s", ref.to.Kind.Kind, o))
		case ref.mustBeThere():
			w.closure.Dangling = append(w.closure.Dangling, Dangling{From: o, To: ref.to, Field: ref.field})
		}
	}
}

// mustBeThere tells what is missing where the backup does not have it.
func (r reference) mustBeThere() bool { return !r.optional && !madeByItself(r.to) }

// inVain lists what a manifest names in vain: what was being deleted and gets none
// itself, and, where the group is all of the backup, what that does not have.
func (g *group) inVain(e *edit) (found []Dangling) {
	if e.leftOut != nil {
		return nil
	}
	for _, ref := range referencesIn(e.id.kind, e.id.namespace, e.content) {
		to, ok := ref.to.place()
		if !ok || !ref.mustBeThere() {
			continue
		}
		id := identity{ref.to.Kind, to.namespace, to.name}
		m := cmp.Or(g.byID[id], g.beside[id])
		if going := m != nil && m.deleting; going || g.whole != nil && !g.whole[to] {
			found = append(found, Dangling{From: e.object, To: ref.to, Field: ref.field, Deleting: going})
		}
	}
	return found
}

// OfWritten leaves what the manifests of a plan name in vain, as they are written:
// a rule may have dropped the reference, and the children of workloads get no
// manifest, whose owners name the same.
func (c *Closure) OfWritten(plan *Plan) {
	written := map[*Object]*Manifest{}
	for _, m := range plan.Manifests {
		written[m.Object] = m
	}
	c.Dangling = slices.DeleteFunc(c.Dangling, func(d Dangling) bool {
		m := written[d.From]
		if m == nil || m.Raw != nil {
			return m == nil
		}
		content, err := m.Content()
		return err == nil && !slices.ContainsFunc(referencesIn(d.From.GVK.GroupKind(), d.From.Key.Namespace, content), func(r reference) bool {
			return r.to.Kind == d.To.Kind && r.to.Name == d.To.Name
		})
	})
	c.Dangling = append(c.Dangling, plan.Dangling...)
	sortDangling(c.Dangling)
}

// place is where an object stands in a keyspace, whatever its prefix is and be the
// object readable or not.
type place struct {
	resource        schema.GroupResource
	namespace, name string
}

func (r Reference) place() (place, bool) {
	resource, ok := LookupKind(r.Kind)
	p := place{resource.GroupResource(), r.Namespace, r.Name}
	if !resource.Namespaced {
		p.namespace = ""
	}
	return p, ok
}

func sortDangling(all []Dangling) {
	slices.SortFunc(all, func(a, b Dangling) int {
		return cmp.Or(strings.Compare(a.From.Key.Path, b.From.Key.Path), strings.Compare(a.Field, b.Field))
	})
}

// madeByItself tells what every cluster has without being asked.
func madeByItself(r Reference) bool {
	switch r.Kind.Kind {
	case "ServiceAccount":
		return r.Name == "default"
	case "ConfigMap":
		return r.Name == "kube-root-ca.crt"
	case "PriorityClass":
		return strings.HasPrefix(r.Name, "system-")
	case "ClusterRole":
		return strings.HasPrefix(r.Name, "system:") || slices.Contains([]string{"admin", "edit", "view", "cluster-admin"}, r.Name)
	}
	return false
}

// callers takes what names the chosen objects: bindings of their ServiceAccounts,
// and webhooks and APIServices that call into their Services.
func (w *closureWalk) callers(ctx context.Context, chosen []*Object) {
	accounts, services := map[string]bool{}, map[string]bool{}
	for _, o := range chosen {
		switch o.Key.Plural {
		case "serviceaccounts":
			accounts[o.Key.Namespace+"/"+o.Key.Name] = true
		case "services":
			services[o.Key.Namespace+"/"+o.Key.Name] = true
		}
	}
	for _, path := range sortedPaths(w.all) {
		o := w.all[path]
		switch o.Key.Plural {
		case "clusterrolebindings", "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "apiservices":
		default:
			continue
		}
		content, err := w.decode(ctx, o).Content()
		if err != nil || content == nil {
			continue
		}
		if o.Key.Plural == "clusterrolebindings" {
			for _, subject := range listAt(content, "subjects") {
				if id := stringAt(subject, "namespace") + "/" + stringAt(subject, "name"); stringAt(subject, "kind") == "ServiceAccount" && accounts[id] {
					w.take(path, "binds the ServiceAccount "+id)
				}
			}
			continue
		}
		w.caller(o, content, services)
	}
}

// caller looks at a webhook configuration or an APIService.
func (w *closureWalk) caller(o *Object, content map[string]any, services map[string]bool) {
	if o.Key.Plural == "apiservices" {
		if id := stringAt(content, "spec", "service", "namespace") + "/" + stringAt(content, "spec", "service", "name"); services[id] {
			w.take(o.Key.Path, "calls into the Service "+id)
		}
		return
	}
	for _, hook := range listAt(content, "webhooks") {
		namespace, name := stringAt(hook, "clientConfig", "service", "namespace"), stringAt(hook, "clientConfig", "service", "name")
		if name == "" {
			continue
		}
		id := namespace + "/" + name
		if services[id] {
			w.take(o.Key.Path, "calls into the Service "+id)
		}
		backend := Reference{schema.GroupKind{Kind: "Service"}, namespace, name}.path(w.registry.opts.Prefix)
		missing := w.all[backend] == nil
		if policy := stringAt(hook, "failurePolicy"); policy != "Ignore" && (services[id] || missing) {
			w.closure.Webhooks = append(w.closure.Webhooks, fmt.Sprintf("%s, webhook %q: it refuses what it is asked about (failurePolicy Fail) until the Service %q answers",
				o, stringAt(hook, "name"), id))
		}
	}
}

func sortedPaths(all map[string]*Object) []string {
	paths := make([]string, 0, len(all))
	for path := range all {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
