package registry

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// Resources are the resources of one backup: the built-in ones and those of
// its CustomResourceDefinitions.
type Resources struct {
	all    []Resource // in the order in which an ambiguous word is tried
	custom map[schema.GroupResource]CustomResource
}

// NewResources joins the built-in resources and customs. A custom resource
// goes before built-in ones that a server does not serve by default: where
// both exist, that is what kubectl would have shown.
func NewResources(customs []CustomResource) *Resources {
	rs := &Resources{custom: map[schema.GroupResource]CustomResource{}}
	var late []Resource
	for _, r := range loadBuiltins().all {
		if r.ServedByDefault() {
			rs.all = append(rs.all, r)
		} else {
			late = append(late, r)
		}
	}
	customs = slices.Clone(customs)
	slices.SortStableFunc(customs, func(a, b CustomResource) int {
		return strings.Compare(a.Group+"/"+a.Plural, b.Group+"/"+b.Plural)
	})
	for _, c := range customs {
		r := c.Resource()
		rs.all = append(rs.all, r)
		rs.custom[r.GroupResource()] = c
	}
	rs.all = append(rs.all, late...)
	return rs
}

// All are the resources in the order in which Find tries them.
func (rs *Resources) All() []Resource { return slices.Clone(rs.all) }

// Custom is the definition of a custom resource.
func (rs *Resources) Custom(gr schema.GroupResource) (CustomResource, bool) {
	c, ok := rs.custom[gr]
	return c, ok
}

// LookupKind finds the resource of a kind, built-in or custom.
func (rs *Resources) LookupKind(gk schema.GroupKind) (Resource, bool) {
	if r, ok := LookupKind(gk); ok {
		return r, true
	}
	return rs.first(func(r Resource) bool { return r.GroupKind() == gk })
}

// Lookup finds the resource with a group and plural, built-in or custom.
func (rs *Resources) Lookup(gr schema.GroupResource) (Resource, bool) {
	if r, ok := LookupResource(gr); ok {
		return r, true
	}
	return rs.first(func(r Resource) bool { return r.GroupResource() == gr })
}

// UnknownResourceError says that a word names no resource of the backup.
type UnknownResourceError struct {
	Word    string
	Nearest []string // at most three names that look like Word, maybe none
}

func (e *UnknownResourceError) Error() string {
	msg := fmt.Sprintf("no resource type %q", e.Word)
	if len(e.Nearest) > 0 {
		msg += " (nearest: " + strings.Join(e.Nearest, ", ") + ")"
	}
	return msg
}

// Find resolves what a user types where kubectl takes a TYPE: plural, singular,
// short name or kind in any case, each also with .group or .version.group (a
// group may be cut short, as in `deployments.ap`), a category such as `all`,
// and comma lists of these. A word of several groups means the first of them,
// as with kubectl. The result has no resource twice; the error is an
// *UnknownResourceError.
func (rs *Resources) Find(words string) ([]Resource, error) {
	var found []Resource
	add := func(r Resource) {
		if !slices.ContainsFunc(found, func(f Resource) bool { return f.GroupResource() == r.GroupResource() }) {
			found = append(found, r)
		}
	}
	for _, word := range strings.Split(words, ",") {
		w := strings.ToLower(strings.TrimSpace(word))
		if members := rs.category(w); len(members) > 0 {
			for _, r := range members {
				add(r)
			}
			continue
		}
		r, ok := rs.findOne(w)
		if !ok {
			return nil, &UnknownResourceError{Word: word, Nearest: rs.nearest(w)}
		}
		add(r)
	}
	return found, nil
}

func (rs *Resources) category(word string) []Resource {
	var members []Resource
	for _, r := range rs.all {
		if slices.Contains(r.Categories, word) {
			members = append(members, r)
		}
	}
	return members
}

// findOne tries, as kubectl's REST mapper and short-cut expander do, the whole
// word, then name.group, then name.version.group; whole groups before ones cut
// short.
func (rs *Resources) findOne(word string) (Resource, bool) {
	name, rest, dotted := strings.Cut(word, ".")
	if !dotted {
		return rs.named(name, func(Resource) bool { return true })
	}
	version, group, _ := strings.Cut(rest, ".")
	for _, inGroup := range []func(Resource, string) bool{isOfGroup, isOfGroupPrefix} {
		if r, ok := rs.named(name, func(r Resource) bool { return inGroup(r, rest) }); ok {
			return r, true
		}
		if r, ok := rs.named(name, func(r Resource) bool { return inGroup(r, group) && rs.hasVersion(r, version) }); ok {
			return r, true
		}
	}
	return Resource{}, false
}

func isOfGroup(r Resource, group string) bool {
	g, ok := cohabiting(group, r.Plural)
	return r.Group == group || ok && r.Group == g
}

func isOfGroupPrefix(r Resource, group string) bool {
	return group != "" && strings.HasPrefix(r.Group, group)
}

// named finds name as a plural, singular or kind first, as a short name last: a
// full name always wins over another resource's abbreviation.
func (rs *Resources) named(name string, fits func(Resource) bool) (Resource, bool) {
	if r, ok := rs.first(func(r Resource) bool {
		return (name == r.Plural || name == r.Singular || name == strings.ToLower(r.Kind)) && fits(r)
	}); ok {
		return r, true
	}
	return rs.first(func(r Resource) bool { return slices.Contains(r.ShortNames, name) && fits(r) })
}

func (rs *Resources) first(fits func(Resource) bool) (Resource, bool) {
	if i := slices.IndexFunc(rs.all, fits); i >= 0 {
		return rs.all[i], true
	}
	return Resource{}, false
}

func (rs *Resources) hasVersion(r Resource, version string) bool {
	if r.Custom {
		_, ok := rs.custom[r.GroupResource()].Version(version)
		return ok
	}
	if r.Version == version {
		return true
	}
	for _, gv := range scheme.Scheme.VersionsForGroupKind(r.GroupKind()) {
		if gv.Version == version {
			return true
		}
	}
	return false
}

// nearest are the at most three resources whose names look most like word: a
// third of the letters may differ, or word is a part of the name.
func (rs *Resources) nearest(word string) []string {
	word, _, _ = strings.Cut(word, ".")
	limit := max(1, len(word)/3)
	byDistance := make([][]string, limit+1)
	for _, r := range rs.all {
		best := limit + 1
		for _, name := range append([]string{r.Plural, r.Singular}, r.ShortNames...) {
			d := words.Distance(word, name)
			if len(word) > 3 && strings.Contains(name, word) {
				d = 1
			}
			best = min(best, d)
		}
		if best <= limit && !r.Removed {
			byDistance[best] = append(byDistance[best], r.String())
		}
	}
	names := slices.Concat(byDistance...)
	return names[:min(3, len(names))]
}
