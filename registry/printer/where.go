package printer

import (
	"fmt"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// Where makes a test of a field selector, as "spec.nodeName=node-1", for objects
// of some kinds. What the API server does not index is refused in its words. An
// object that cannot be read passes, so that it is named.
func (p *Printer) Where(selector string, kinds []registry.Resource) (func(*registry.Object) bool, error) {
	parsed, err := fields.ParseSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("reading the field selector: %w", err)
	}
	byKind := map[schema.GroupResource]fields.Selector{}
	for _, kind := range kinds {
		byKind[kind.GroupResource()], err = parsed.Transform(func(label, value string) (string, string, error) {
			name, err := p.FieldLabel(kind.GroupKind().WithVersion(kind.Version), kind, label)
			return name, value, err
		})
		if err != nil {
			return nil, fmt.Errorf("selecting %s: %w", kind, err)
		}
	}
	return func(o *registry.Object) bool {
		want := byKind[o.Key.GroupResource()]
		if want == nil || want.Empty() {
			return true
		}
		set, err := p.fieldsOf(o)
		return err != nil || want.Matches(set)
	}, nil
}

// fieldsOf are what a field selector can ask of o, which stays as it is.
func (p *Printer) fieldsOf(o *registry.Object) (set fields.Set, err error) {
	a := &Answer{printer: p, resource: p.resourceOf(o)}
	err = guard(func() (err error) {
		if _, ok := registry.LookupKind(o.GVK.GroupKind()); ok {
			a.internal, _, err = decode(p.codecs, o)
		} else {
			err = a.readCustom(o)
		}
		if err == nil {
			set = a.Fields()
		}
		return err
	})
	return set, err
}
