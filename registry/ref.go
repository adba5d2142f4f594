package registry

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref asks for one object by its name, as kubectl does: KIND/NAME.
type Ref struct{ Kind, Name string }

func (r Ref) String() string { return fmt.Sprintf("%q", r.Kind+"/"+r.Name) }

// ParseRefs reads what stands after SRC: KIND/NAME once or more, or KIND and
// then names. refs is nil where no name is given: then words are kinds alone.
func ParseRefs(args []string) (words string, refs []Ref, err error) {
	slashes := 0
	for _, arg := range args {
		slashes += min(1, strings.Count(arg, "/"))
	}
	switch {
	case slashes == 0 && len(args) < 2:
		return strings.Join(args, ","), nil, nil
	case slashes == 0:
		if _, err := NewResources(nil).Find(args[1]); err == nil {
			return "", nil, fmt.Errorf("%q is a kind, and stands where a name does: several kinds are joined by commas, as in %s", args[1], strings.Join(args, ","))
		}
		for _, name := range args[1:] {
			refs = append(refs, Ref{args[0], name})
		}
		return args[0], refs, nil
	case slashes < len(args):
		return "", nil, fmt.Errorf("KIND/NAME and KIND NAME are mixed: %s", strings.Join(args, " "))
	}
	var kinds []string
	seen := map[string]bool{}
	for _, arg := range args {
		kind, name, _ := strings.Cut(arg, "/")
		if kind == "" || name == "" || strings.ContainsAny(name, "/") || strings.Contains(kind, ",") {
			return "", nil, fmt.Errorf("%q is not KIND/NAME", arg)
		}
		refs = append(refs, Ref{kind, name})
		if !seen[kind] {
			seen[kind] = true
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ","), refs, nil
}

// refSet is Refs with their kinds resolved.
type refSet map[schema.GroupResource]map[string]bool

func (rs *Resources) resolveRefs(refs []Ref) (refSet, error) {
	if refs == nil {
		return nil, nil //nolint:nilnil // every name
	}
	set := refSet{}
	for _, ref := range refs {
		kinds, err := rs.Find(ref.Kind)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			if set[k.GroupResource()] == nil {
				set[k.GroupResource()] = map[string]bool{}
			}
			set[k.GroupResource()][ref.Name] = true
		}
	}
	return set, nil
}

// Names reports whether a reference, whose kind is known, names a key.
func (rs *Resources) Names(ref Ref, k Key) bool {
	set, err := rs.resolveRefs([]Ref{ref})
	return err == nil && set.has(k)
}

func (s refSet) has(k Key) bool { return s == nil || s[k.GroupResource()][k.Name] }

// NotFoundError says which objects that were asked for by name are not there.
type NotFoundError struct {
	Refs       []Ref
	Namespaces []string // in which they were looked for
}

func (e *NotFoundError) Error() string {
	names := make([]string, len(e.Refs))
	for i, ref := range e.Refs {
		names[i] = ref.String()
	}
	text := strings.Join(names, ", ") + " not found"
	if len(e.Namespaces) > 0 {
		text += fmt.Sprintf(" in namespace %q", strings.Join(e.Namespaces, ", "))
	}
	return text
}

// NamespaceMissingError says that an object of a namespace was asked for
// without one.
type NamespaceMissingError struct{ Kind string }

func (e *NamespaceMissingError) Error() string {
	return e.Kind + " belong to a namespace: say which, with -n"
}
