package registry

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Gone is an object that was deleted, as it was before.
type Gone struct {
	Key Key

	// KV is the last state before anybody asked for the deletion; without a
	// Value where that was compacted.
	KV snapshot.KeyValue

	Revision int64  // of the deletion
	When     Moment // of the deletion

	// Cut is the revision whose state KV is; for what a namespace took along,
	// the last one before the namespace was being deleted.
	Cut int64
}

// Lost reports whether only the deletion is known, and no state before it.
func (g Gone) Lost() bool { return g.KV.Value == nil }

// Trash is what was deleted and is still in the history. It is a Reader that
// holds the deleted objects, as they were, and beside them what there still is
// and is needed to understand them: definitions, Namespaces, and what stands in
// the namespaces of the deleted, the owners of Pods among it.
type Trash struct {
	Items []Gone // by key, lost ones too

	registry   *Registry
	byPath     map[string]int
	namespaces map[string]bool // of the items
	revision   int64
}

var _ snapshot.Reader = (*Trash)(nil)

// Trash finds what was deleted of the objects whose key want takes, and is not
// there at the revision that the registry looks at. clock may be nil.
//
// The objects of a namespace that was deleted are taken as they were before the
// namespace controller began: at the revision before the Namespace got its
// deletionTimestamp. So they belong together. An object that was deleted by
// itself is taken as it was before it got its own.
func (r *Registry) Trash(ctx context.Context, clock *Clock, want func(Key) bool) (*Trash, error) {
	h, err := r.history()
	if err != nil {
		return nil, err
	}
	b := trashBuilder{registry: r, ctx: ctx, last: r.opts.Revision, found: map[string]*grave{}}
	// Namespaces are read in any case: theirs is the cut.
	for record, err := range h.Changes(ctx, r.matcher(func(k Key) bool {
		return k.GroupResource() == namespaceResource || want == nil || want(k)
	})) {
		if err != nil {
			return nil, err
		}
		b.add(record)
	}
	return b.trash(clock, want)
}

// grave is what was found of a key, the newest record first.
type grave struct {
	alive    bool
	deletion snapshot.Record
	states   []snapshot.Record // before the deletion, the newest first
	ended    bool              // an older life follows
}

type trashBuilder struct {
	registry *Registry
	ctx      context.Context
	last     int64 // revision to look at, 0 for the newest
	found    map[string]*grave
	cuts     map[string]int64 // namespaces: the last revision before each began to go
}

func (b *trashBuilder) add(r snapshot.Record) {
	if b.last > 0 && r.Main > b.last {
		return
	}
	g := b.found[string(r.Key)]
	switch {
	case g == nil:
		b.found[string(r.Key)] = &grave{alive: !r.Deleted, deletion: r}
	case g.alive || g.ended:
	case r.Deleted:
		g.ended = true
	default:
		g.states = append(g.states, r)
		g.ended = r.Version == 1
	}
}

func (b *trashBuilder) trash(clock *Clock, want func(Key) bool) (*Trash, error) {
	t := &Trash{registry: b.registry, byPath: map[string]int{}, namespaces: map[string]bool{}, revision: b.last}
	if t.revision == 0 {
		t.revision = b.registry.reader.Revision()
	}
	keys := map[string]Key{}
	b.cuts = map[string]int64{}
	for path, g := range b.found {
		if g.alive {
			continue
		}
		key, err := ParseKey(b.registry.opts.Prefix, path)
		if err != nil {
			return nil, err
		}
		keys[path] = key
		if key.GroupResource() == namespaceResource {
			b.cuts[key.Name] = b.cutOf(key, g)
		}
	}
	for path, key := range keys {
		if want != nil && !want(key) {
			continue
		}
		item := b.item(key, b.found[path])
		if clock != nil {
			item.When = clock.Time(item.Revision)
		}
		t.Items = append(t.Items, item)
	}
	slices.SortFunc(t.Items, func(a, b Gone) int { return strings.Compare(a.Key.Path, b.Key.Path) })
	for i, item := range t.Items {
		t.byPath[item.Key.Path] = i
		t.namespaces[item.Key.Namespace] = true
	}
	return t, nil
}

// cutOf is the last revision before a deleted object got its deletionTimestamp;
// the one before its deletion where it got none, or where that is not held.
func (b *trashBuilder) cutOf(key Key, g *grave) int64 {
	cut := g.deletion.Main - 1
	for _, state := range g.states {
		if !b.beingDeleted(key, state) {
			break
		}
		cut = state.Main - 1
	}
	return cut
}

func (b *trashBuilder) beingDeleted(key Key, r snapshot.Record) bool {
	o := b.registry.Decode(b.ctx, Entry{key, r.KeyValue})
	content, err := o.Content()
	return err == nil && valueAt(content, "metadata", "deletionTimestamp") != nil
}

// item chooses the state of a deleted object.
func (b *trashBuilder) item(key Key, g *grave) Gone {
	item := Gone{Key: key, KV: snapshot.KeyValue{Key: []byte(key.Path)}, Revision: g.deletion.Main}
	namespaceCut, gone := b.cuts[key.Namespace]
	switch {
	case key.GroupResource() == namespaceResource:
		item.Cut = b.cuts[key.Name]
	case key.Namespace != "" && gone && g.deletion.Main > namespaceCut:
		item.Cut = namespaceCut
	default:
		item.Cut = b.cutOf(key, g)
	}
	for _, state := range g.states {
		if state.Main <= item.Cut {
			item.KV = state.KeyValue
			return item
		}
	}
	// Younger than its namespace's end, or all older states are compacted: what
	// is held is taken, though it was being deleted.
	if n := len(g.states); n > 0 && g.states[n-1].Version != 1 {
		item.KV, item.Cut = g.states[n-1].KeyValue, g.states[n-1].Main
	}
	return item
}

// Lost counts the objects of which no state is left.
func (t *Trash) Lost() (lost int) {
	for _, item := range t.Items {
		if item.Lost() {
			lost++
		}
	}
	return lost
}

// Gone finds an object by its key.
func (t *Trash) Gone(k Key) (Gone, bool) {
	i, ok := t.byPath[k.Path]
	if !ok {
		return Gone{}, false
	}
	return t.Items[i], true
}

// Registry is a view of the deleted objects.
func (t *Trash) Registry() *Registry {
	r := New(t, t.registry.opts)
	r.partial = true
	return r
}

// beside tells the keys of objects that there still are and that rules look at.
func (t *Trash) beside(k Key) bool {
	if _, gone := t.Gone(k); gone {
		return false
	}
	return IsDefinition(k) || k.GroupResource() == namespaceResource ||
		k.Namespace != "" && t.namespaces[k.Namespace] && k.Plural != "events" && k.GroupResource() != leaseResource
}

// Revision meets snapshot.Reader: it is the one at which the objects are gone.
func (t *Trash) Revision() int64 { return t.revision }

// At meets snapshot.Reader. It knows one revision, its own.
func (t *Trash) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[snapshot.KeyValue, error] {
	return func(yield func(snapshot.KeyValue, error) bool) {
		if rev != 0 && rev != t.revision {
			yield(snapshot.KeyValue{}, fmt.Errorf("revision %d: the deleted objects are those of revision %d", rev, t.revision))
			return
		}
		for _, item := range t.Items {
			if !item.Lost() && (match == nil || match(item.KV.Key)) && !yield(item.KV, nil) {
				return
			}
		}
		beside := t.registry.matcher(t.beside)
		for kv, err := range t.registry.reader.At(ctx, t.revision, func(key []byte) bool {
			return beside(key) && (match == nil || match(key))
		}) {
			if !yield(kv, err) || err != nil {
				return
			}
		}
	}
}

// LastSeen is the newest deletion of an object whose key match takes, and that
// is not there any more; false when the history has none.
func (r *Registry) LastSeen(ctx context.Context, clock *Clock, match func(Key) bool) (Gone, bool) {
	t, err := r.Trash(ctx, clock, match)
	if err != nil {
		return Gone{}, false
	}
	newest, found := Gone{}, false
	for _, item := range t.Items {
		if item.Revision > newest.Revision {
			newest, found = item, true
		}
	}
	return newest, found
}
