package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// ErrOtherCluster says that two backups are of different clusters.
var ErrOtherCluster = errors.New("the backups are of different clusters")

// DiffOptions say what of two keyspaces is compared. The zero value compares
// all objects in their cleaned form.
type DiffOptions struct {
	Want func(Key) bool // nil takes all

	// Raw compares every field of every object as it is stored. Else what the
	// rules of profile Recreate drop or leave out is not compared: what every
	// cluster makes anew by itself.
	Raw bool

	ShowSecrets bool // else the values of Secrets are digests

	// Convert brings an object into the version that is wanted; see CleanOptions.
	Convert func(*Object)
}

// Diff is what differs between two keyspaces.
type Diff struct {
	Items []Difference // by key

	Compared int // keys that at least one side has
	LeftOut  int // objects that differ, and that the cleaned form does not have
}

// Difference is an object that is not the same on both sides.
type Difference struct {
	Key   Key
	GVK   schema.GroupVersionKind
	Event Event // Created, Deleted or Updated, from the old side to the new

	Fields []FieldChange // of an Updated object

	// Old and New are the object as it was compared; nil where it is not there
	// or cannot be read. A Secret's values are digests unless they were asked for.
	Old, New map[string]any

	// Problem says why the object could not be compared, "" where it could: its
	// stored bytes differ.
	Problem string
}

// ClusterUID is the uid of the Namespace kube-system, which every cluster has
// and keeps; "" where it cannot be read.
func (r *Registry) ClusterUID(ctx context.Context) (string, error) {
	for o, err := range r.Objects(ctx, func(k Key) bool { return k.GroupResource() == namespaceResource && k.Name == "kube-system" }) {
		if err != nil {
			return "", err
		}
		content, err := o.Content()
		if err != nil {
			return "", nil // it cannot be read, and so tells nothing
		}
		return stringAt(content, "metadata", "uid"), nil
	}
	return "", nil
}

// DiffOf compares two keyspaces: one pass over each, and one more for what the
// rules look at. Only objects whose stored bytes differ are decoded; memory
// grows with the number of keys and of differences.
func DiffOf(ctx context.Context, before, after *Registry, opts DiffOptions) (*Diff, error) {
	d := differ{opts: opts, diff: &Diff{}, sides: [2]*diffSide{{registry: before}, {registry: after}}}
	if err := d.candidates(ctx); err != nil {
		return nil, fmt.Errorf("comparing: %w", err)
	}
	for _, side := range d.sides {
		if err := side.clean(ctx, opts); err != nil {
			return nil, fmt.Errorf("comparing: %w", err)
		}
	}
	for _, path := range d.paths {
		d.compare(path)
	}
	return d.diff, nil
}

type differ struct {
	opts  DiffOptions
	diff  *Diff
	sides [2]*diffSide
	paths []string // that differ, sorted
}

// diffSide is one of the keyspaces: its objects whose stored bytes differ.
type diffSide struct {
	registry *Registry
	stored   map[string]snapshot.KeyValue
	objects  map[string]*Object
	cleaned  map[string]*Manifest
	left     map[string]LeftOut
}

// candidates finds the keys that one side does not have, or has otherwise.
func (d *differ) candidates(ctx context.Context) error {
	old := map[string]snapshot.KeyValue{}
	a, b := d.sides[0], d.sides[1]
	for kv, err := range a.registry.reader.At(ctx, a.registry.opts.Revision, a.registry.matcher(d.opts.Want)) {
		if err != nil {
			return err
		}
		old[unsafe.String(unsafe.SliceData(kv.Key), len(kv.Key))] = kv
	}
	d.diff.Compared = len(old)
	a.stored, b.stored = old, map[string]snapshot.KeyValue{}
	for kv, err := range b.registry.reader.At(ctx, b.registry.opts.Revision, b.registry.matcher(d.opts.Want)) {
		if err != nil {
			return err
		}
		name := unsafe.String(unsafe.SliceData(kv.Key), len(kv.Key))
		other, both := old[name]
		switch {
		case both && bytes.Equal(other.Value, kv.Value):
			delete(old, name)
			continue
		case !both:
			d.diff.Compared++
		}
		b.stored[name] = kv
	}
	seen := map[string]bool{}
	for _, side := range d.sides {
		for name := range side.stored {
			if !seen[name] {
				seen[name] = true
				d.paths = append(d.paths, strings.Clone(name))
			}
		}
	}
	slices.Sort(d.paths)
	return nil
}

// clean decodes a side's objects and applies the rules, with what those look at
// beside: owners, Services, definitions.
func (s *diffSide) clean(ctx context.Context, opts DiffOptions) error {
	s.objects, s.cleaned, s.left = map[string]*Object{}, map[string]*Manifest{}, map[string]LeftOut{}
	var objects []*Object
	for name, kv := range s.stored {
		key, err := ParseKey(s.registry.opts.Prefix, strings.Clone(name))
		if err != nil {
			return err // it parsed before
		}
		o := s.registry.Decode(ctx, Entry{key, kv})
		s.objects[key.Path] = o
		objects = append(objects, o)
	}
	if opts.Raw {
		return nil
	}
	slices.SortFunc(objects, func(a, b *Object) int { return strings.Compare(a.Key.Path, b.Key.Path) })
	beside, definitions, err := s.beside(ctx, objects)
	if err != nil {
		return err
	}
	for _, o := range objects {
		o.release()
	}
	plan, err := Clean(append(objects, definitions...), CleanOptions{Convert: opts.Convert, Beside: beside})
	if err != nil {
		return err
	}
	for _, m := range plan.Manifests {
		s.cleaned[m.Object.Key.Path] = m
	}
	for _, l := range plan.LeftOut {
		s.left[l.Object.Key.Path] = l
	}
	return nil
}

// beside finds what rules look at: the owners of objects, the Services of their
// namespaces, and the definitions of custom resources.
func (s *diffSide) beside(ctx context.Context, objects []*Object) (beside, definitions []*Object, err error) {
	owners, namespaces, custom := map[string]bool{}, map[string]bool{}, false
	for _, o := range objects {
		content, err := o.Content()
		if err != nil || content == nil {
			continue
		}
		if _, builtin := LookupKind(o.GVK.GroupKind()); !builtin {
			custom = true
		}
		if o.Key.Plural == "endpointslices" || o.Key.Plural == "endpoints" {
			namespaces[o.Key.Namespace] = true
		}
		if path := s.ownerKey(controllerOf(content), o.Key.Namespace); path != "" {
			owners[path] = true
		}
	}
	if len(owners) == 0 && len(namespaces) == 0 && !custom {
		return nil, nil, nil
	}
	for o, err := range s.registry.Objects(ctx, func(k Key) bool {
		return owners[k.Path] || custom && IsDefinition(k) || k.Plural == "services" && k.Group == "" && namespaces[k.Namespace]
	}) {
		switch {
		case err != nil:
			return nil, nil, err
		case s.objects[o.Key.Path] != nil:
		case IsDefinition(o.Key):
			definitions = append(definitions, o)
		default:
			o.release()
			beside = append(beside, o)
		}
	}
	return beside, definitions, nil
}

// ownerKey is where the owner of an object is stored, "" for an owner whose kind
// only a definition knows: no rule asks for those.
func (s *diffSide) ownerKey(ref map[string]any, namespace string) string {
	gv, err := schema.ParseGroupVersion(stringAt(ref, "apiVersion"))
	if ref == nil || err != nil {
		return ""
	}
	resource, ok := LookupKind(gv.WithKind(stringAt(ref, "kind")).GroupKind())
	if !ok {
		return ""
	}
	path := s.registry.opts.Prefix + "/" + resource.Prefix + "/"
	if resource.Namespaced {
		path += namespace + "/"
	}
	return path + stringAt(ref, "name")
}

// content is the object as it is compared. ok is false for one that the cleaned
// form does not have.
func (s *diffSide) content(path string, raw bool) (content map[string]any, problem string, ok bool) {
	o := s.objects[path]
	switch m := s.cleaned[path]; {
	case o == nil:
		return nil, "", false
	case hasProblem(o, Locked, Undecodable, UnknownKind):
		for _, p := range o.Problems {
			problem = p.String()
		}
		return nil, problem, true
	case raw:
		content, err := o.Content()
		if err != nil {
			return nil, err.Error(), true
		}
		return content, "", true
	case m != nil:
		content, err := m.Content()
		if err != nil {
			return nil, err.Error(), true
		}
		if spec, ok := content["spec"].(map[string]any); ok && len(spec) == 0 {
			delete(content, "spec") // the API tells no difference
		}
		return content, "", true
	}
	return nil, "", false
}

// compare adds what differs at a key.
func (d *differ) compare(path string) {
	a, b := d.sides[0].objects[path], d.sides[1].objects[path]
	old, problemA, inA := d.sides[0].content(path, d.opts.Raw)
	now, problemB, inB := d.sides[1].content(path, d.opts.Raw)
	o := b
	if o == nil {
		o = a
	}
	item := Difference{Key: o.Key, GVK: o.GVK, Event: Updated, Problem: problemA + problemB}
	if problemA != "" && problemB != "" {
		item.Problem = problemB
	}
	switch {
	case a != nil && !inA || b != nil && !inB:
		d.diff.LeftOut++
		return
	case a == nil:
		item.Event = Created
	case b == nil:
		item.Event = Deleted
	}
	uid := ""
	for _, side := range []*Object{a, b} {
		if content := contentOrNil(side); uid == "" && content != nil {
			uid = stringAt(content, "metadata", "uid")
		}
	}
	if !d.opts.ShowSecrets {
		old, now = Masked(old, uid), Masked(now, uid)
	}
	item.Old, item.New = old, now
	if item.Event == Updated && item.Problem == "" {
		if item.Fields = DiffFields(old, now); len(item.Fields) == 0 {
			return
		}
	}
	d.diff.Items = append(d.diff.Items, item)
}
