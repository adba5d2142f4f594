package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// Selection is what an operator asks for. Namespaces match exactly.
type Selection struct {
	Namespaces []string // objects of these namespaces
	All        bool     // everything: all namespaces and the cluster's own objects
	Cluster    bool     // cluster-scoped objects

	Refs []Ref // only objects of these names; cluster-scoped ones need neither All nor Cluster

	Words  string          // kinds as kubectl takes them, "deploy,svc"; "" is every kind
	Labels labels.Selector // nil takes all
}

// Selected is what a Selection found, with what has to come along: the
// Namespaces themselves, the definitions of the custom resources, the
// PersistentVolumes bound to the claims, the contents of the snapshots.
//
// There may be a million of them: they keep their stored bytes, and decode
// them when asked for their Content.
type Selected struct {
	Objects   []*Object        // by key, ascending
	Along     map[*Object]bool // of Objects: not asked for, but needed
	Beside    []*Object        // of the same namespaces, not asked for: what rules may look at
	Resources *Resources
}

// NamespaceError says that a namespace stands nowhere in the backup.
type NamespaceError struct {
	Name    string
	Nearest []string // namespaces that are in the backup, the most alike first
}

func (e *NamespaceError) Error() string {
	if len(e.Nearest) == 0 {
		return fmt.Sprintf("no namespace %q in the backup", e.Name)
	}
	quoted := make([]string, len(e.Nearest))
	for i, n := range e.Nearest {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return fmt.Sprintf("no namespace %q in the backup; nearest are %s", e.Name, strings.Join(quoted, ", "))
}

var (
	namespaceResource = schema.GroupResource{Resource: "namespaces"}
	volumeResource    = schema.GroupResource{Resource: "persistentvolumes"}
	claimResource     = schema.GroupResource{Resource: "persistentvolumeclaims"}

	snapshotResource        = schema.GroupResource{Group: kindSnapshot.Group, Resource: "volumesnapshots"}
	snapshotContentResource = schema.GroupResource{Group: kindSnapshot.Group, Resource: "volumesnapshotcontents"}
	groupResource           = schema.GroupResource{Group: kindGroupSnapshot.Group, Resource: "volumegroupsnapshots"}
	groupContentResource    = schema.GroupResource{Group: kindGroupSnapshot.Group, Resource: "volumegroupsnapshotcontents"}
)

// Select finds what sel asks for in one pass over the keyspace. A namespace
// that is not there is a *NamespaceError, an unknown kind an
// *UnknownResourceError, a keyspace without objects under the prefix a
// *PrefixError.
func (r *Registry) Select(ctx context.Context, sel Selection) (*Selected, error) {
	s := selector{Selection: sel, namespaces: map[string]bool{}, found: map[string]bool{}, otherLabels: map[*Object]bool{}}
	for _, ns := range sel.Namespaces {
		s.namespaces[ns] = true
	}
	var candidates []*Object
	for o, err := range r.Objects(ctx, s.wants) {
		if err != nil {
			return nil, err
		}
		if !matches(s.Labels, o) {
			s.otherLabels[o] = true
		}
		o.release()
		candidates = append(candidates, o)
	}
	if len(candidates) == 0 {
		if err := r.checkPrefix(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(candidates, func(a, b *Object) int { return strings.Compare(a.Key.Path, b.Key.Path) })
	return s.choose(candidates)
}

// selector carries a Selection through its two steps: keys first, objects then.
type selector struct {
	Selection
	namespaces map[string]bool // asked for
	found      map[string]bool // in the backup

	kinds       map[schema.GroupResource]bool // nil is every kind
	refs        refSet                        // nil is every name
	otherLabels map[*Object]bool              // those that the labels leave out
}

// wants takes the keys whose objects may be needed. The few Namespaces,
// definitions and volumes of a cluster are all taken: which of them belong to
// the selection stands in other objects.
func (s *selector) wants(k Key) bool {
	switch gr := k.GroupResource(); {
	case gr == crdResource, gr == namespaceResource, gr == volumeResource, gr == snapshotContentResource, gr == groupContentResource:
		return true
	case k.Namespace == "":
		return s.All || s.Cluster || s.Refs != nil
	}
	return s.All || s.namespaces[k.Namespace]
}

// choose reduces the candidates to the selection and what comes along.
func (s *selector) choose(candidates []*Object) (*Selected, error) {
	definitions := map[schema.GroupResource]*Object{}
	var customs []CustomResource
	for _, o := range candidates {
		switch {
		case IsDefinition(o.Key) && o.Raw != nil:
			custom, err := ParseDefinition(o)
			if err != nil {
				o.notice(Problem{Undecodable, err.Error()})
				continue
			}
			customs = append(customs, custom)
			definitions[schema.GroupResource{Group: custom.Group, Resource: custom.Plural}] = o
		case o.Key.GroupResource() == namespaceResource:
			s.found[o.Name] = true
		default:
			s.found[o.Key.Namespace] = true
		}
	}
	resources := NewResources(customs)
	if err := s.resolve(resources); err != nil {
		return nil, err
	}
	if err := s.missing(candidates, resources); err != nil {
		return nil, err
	}
	taken := map[*Object]bool{}
	asking := map[schema.GroupResource][]*Object{} // for what holds data: claims, snapshots
	for _, o := range candidates {
		if !s.takes(o) {
			continue
		}
		taken[o] = true
		if definition := definitions[o.Key.GroupResource()]; definition != nil {
			taken[definition] = true
		}
		switch gr := o.Key.GroupResource(); gr {
		case claimResource, snapshotResource, groupResource:
			asking[gr] = append(asking[gr], o)
		}
	}
	for _, o := range candidates {
		switch o.Key.GroupResource() {
		case namespaceResource:
			taken[o] = taken[o] || s.namespaces[o.Key.Name]
		case volumeResource:
			taken[o] = taken[o] || boundToAny(o, "claimRef", asking[claimResource])
		case snapshotContentResource:
			taken[o] = taken[o] || boundToAny(o, "volumeSnapshotRef", asking[snapshotResource])
		case groupContentResource:
			taken[o] = taken[o] || boundToAny(o, "volumeGroupSnapshotRef", asking[groupResource])
		default:
			continue
		}
		if definition := definitions[o.Key.GroupResource()]; taken[o] && definition != nil {
			taken[definition] = true
		}
	}
	selected := &Selected{Resources: resources, Along: map[*Object]bool{}}
	for _, o := range candidates {
		switch {
		case taken[o]:
			selected.Objects = append(selected.Objects, o)
			if !s.takes(o) {
				selected.Along[o] = true
			}
		case o.Key.Namespace != "":
			selected.Beside = append(selected.Beside, o)
		}
	}
	return selected, nil
}

// resolve checks the namespaces and the kinds that were asked for.
func (s *selector) resolve(resources *Resources) error {
	for _, ns := range s.Namespaces {
		if !s.found[ns] {
			return &NamespaceError{Name: ns, Nearest: nearestNames(ns, s.found)}
		}
	}
	if s.Words == "" {
		return nil
	}
	kinds, err := resources.Find(s.Words)
	if err != nil {
		return err
	}
	s.kinds = map[schema.GroupResource]bool{}
	for _, k := range kinds {
		s.kinds[k.GroupResource()] = true
		if s.Refs != nil && k.Namespaced && len(s.Namespaces) == 0 && !s.All {
			return &NamespaceMissingError{k.String()}
		}
	}
	s.refs, err = resources.resolveRefs(s.Refs)
	return err
}

// missing says which names that were asked for no object has.
func (s *selector) missing(candidates []*Object, resources *Resources) error {
	missing := &NotFoundError{Namespaces: s.Namespaces}
	for _, ref := range s.Refs {
		one, err := resources.resolveRefs([]Ref{ref})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(candidates, func(o *Object) bool { return one.has(o.Key) && s.takes(o) }) {
			missing.Refs = append(missing.Refs, ref)
		}
	}
	if len(missing.Refs) > 0 {
		return missing
	}
	return nil
}

// takes tells whether the selection itself, without what comes along, has o.
func (s *selector) takes(o *Object) bool {
	inScope := s.All || s.namespaces[o.Key.Namespace] || (s.Cluster || s.Refs != nil) && o.Key.Namespace == ""
	if !inScope || !s.refs.has(o.Key) || s.kinds != nil && !s.kinds[o.Key.GroupResource()] {
		return false
	}
	return !s.otherLabels[o]
}

// boundToAny tells whether what holds data (a PersistentVolume, the content of
// a snapshot) is bound to one of the objects that ask for it.
func boundToAny(holder *Object, ref string, asking []*Object) bool {
	content, err := holder.Content()
	if err != nil || len(asking) == 0 {
		return false
	}
	name, _, _ := unstructured.NestedString(content, "spec", ref, "name")
	namespace, _, _ := unstructured.NestedString(content, "spec", ref, "namespace")
	return slices.ContainsFunc(asking, func(c *Object) bool { return c.Name == name && c.Namespace == namespace })
}

// Labels are the object's labels, nil when its metadata cannot be read.
func (o *Object) Labels() map[string]string {
	if o.Typed != nil {
		if accessor, err := meta.Accessor(o.Typed); err == nil {
			return accessor.GetLabels()
		}
	}
	l, _, _ := unstructured.NestedStringMap(o.content, "metadata", "labels")
	return l
}

// nearestNames are at most three of the names that are most like word.
func nearestNames(word string, names map[string]bool) []string {
	var near []string
	for n := range names {
		if n != "" && (words.Distance(word, n) <= max(2, len(word)/3) || strings.Contains(n, word) || strings.Contains(word, n)) {
			near = append(near, n)
		}
	}
	slices.SortFunc(near, func(a, b string) int {
		if d := words.Distance(word, a) - words.Distance(word, b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return near[:min(3, len(near))]
}
