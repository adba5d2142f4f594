package registry

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Query is what `get` asks for, in kubectl's words.
type Query struct {
	Words     string   // kinds as kubectl takes them: "po", "deploy,svc", "ships.fleet.example.com", "all"
	Names     []string // nil takes every name
	Namespace string   // for namespaced kinds; "" is every namespace
	Labels    labels.Selector

	Refs []Ref // only these of the kinds and names; nil takes all that those say
}

// Listing is what a Query found. It holds keys and places of values, not
// objects: those are decoded one by one as Objects goes along.
type Listing struct {
	Kinds     []Resource // what Words meant, in the order of kubectl
	Resources *Resources

	// Newest is the newest renewal of a Lease in the backup, or the zero time:
	// the moment to which ages count.
	Newest time.Time

	registry *Registry
	query    Query
	entries  []listed
	where    func(*Object) bool
}

// listed is one object of a Listing. There may be hundreds of thousands of
// them, so the key is taken apart again when the object's turn comes.
type listed struct {
	kv   snapshot.KeyValue
	kind schema.GroupResource
}

func (l *Listing) add(e Entry) {
	l.entries = append(l.entries, listed{e.KV, e.Key.GroupResource()})
}

// key takes the key of an entry apart; that it parses is known.
func (l *Listing) key(e listed) Key {
	key, _ := ParseKey(l.registry.opts.Prefix, string(e.kv.Key))
	return key
}

// leaseResource dates a backup: kubelets renew their Lease every ten seconds.
var leaseResource = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// List finds what q asks for, in one pass over the keyspace where the kinds
// are built-in and in two where only the backup's definitions say what a word
// means. An unknown word is an *UnknownResourceError, a keyspace without objects
// under the prefix a *PrefixError.
func (r *Registry) List(ctx context.Context, q Query) (*Listing, error) {
	l := &Listing{registry: r, query: q}
	// A guess from the built-in kinds saves the second pass in nearly all cases.
	guess := map[schema.GroupResource]bool{}
	if kinds, err := NewResources(nil).Find(q.Words); err == nil {
		guess = resourceSet(kinds)
	}
	var customs []CustomResource
	seen := false
	for e, err := range r.Entries(ctx, func(k Key) bool {
		return IsDefinition(k) || k.GroupResource() == leaseResource || guess[k.GroupResource()] && l.wants(k)
	}) {
		if err != nil {
			return nil, err
		}
		seen = true
		if gr := e.Key.GroupResource(); guess[gr] && l.wants(e.Key) {
			l.add(e)
		}
		switch {
		case IsDefinition(e.Key):
			// One that cannot be read defines nothing; get shows what is wrong with it.
			if custom, err := ParseDefinition(r.Decode(ctx, e)); err == nil {
				customs = append(customs, custom)
			}
		case e.Key.GroupResource() == leaseResource:
			t := tally{registry: r, survey: Survey{Newest: l.Newest}}
			t.open(r.Decode(ctx, e))
			l.Newest = t.survey.Newest
		}
	}
	if !seen {
		// Whoever asks for the meaning of words alone may be after what was deleted.
		meaningOnly := q.Names != nil && len(q.Names) == 0
		if err := r.checkPrefix(ctx); err != nil && !(meaningOnly && wiped(err)) {
			return nil, err
		}
	}
	l.Resources = NewResources(customs)
	var err error
	if l.Kinds, err = l.Resources.Find(q.Words); err != nil {
		return nil, err
	}
	if err := l.complete(ctx, guess); err != nil {
		return nil, err
	}
	refs, err := l.Resources.resolveRefs(q.Refs)
	if err != nil {
		return nil, err
	}
	l.entries = slices.DeleteFunc(l.entries, func(e listed) bool { return !refs.has(l.key(e)) })
	l.sort()
	return l, nil
}

// complete adds the kinds that the guess did not have, and drops those that
// the definitions gave another meaning.
func (l *Listing) complete(ctx context.Context, guess map[schema.GroupResource]bool) error {
	kinds := resourceSet(l.Kinds)
	l.entries = slices.DeleteFunc(l.entries, func(e listed) bool { return !kinds[e.kind] })
	missing := false
	for kind := range kinds {
		missing = missing || !guess[kind]
	}
	if !missing {
		return nil
	}
	for e, err := range l.registry.Entries(ctx, func(k Key) bool {
		return kinds[k.GroupResource()] && !guess[k.GroupResource()] && l.wants(k)
	}) {
		if err != nil {
			return err
		}
		l.add(e)
	}
	return nil
}

// wants applies namespace and names; cluster-scoped objects have no namespace.
func (l *Listing) wants(k Key) bool {
	if l.query.Namespace != "" && k.Namespace != "" && k.Namespace != l.query.Namespace {
		return false
	}
	return l.query.Names == nil || slices.Contains(l.query.Names, k.Name)
}

// sort orders as kubectl prints: by kind, then in the order of the names that
// were given, then by key, that is by namespace and name.
func (l *Listing) sort() {
	order := map[schema.GroupResource]int{}
	for i, k := range l.Kinds {
		order[k.GroupResource()] = i
	}
	name := func(e listed) int {
		if l.query.Names == nil {
			return 0
		}
		return slices.Index(l.query.Names, l.key(e).Name)
	}
	slices.SortFunc(l.entries, func(a, b listed) int {
		return cmp.Or(order[a.kind]-order[b.kind], name(a)-name(b), bytes.Compare(a.kv.Key, b.kv.Key))
	})
}

// Objects decodes what was found, on all cores and a few objects ahead of the
// loop, and yields what has the labels asked for. An object that cannot be read is always yielded: its
// labels are not known.
func (l *Listing) Objects(ctx context.Context) iter.Seq[*Object] {
	return func(yield func(*Object) bool) {
		for _, o := range inOrder(slices.Values(l.entries), func(e listed) *Object {
			return l.registry.Decode(ctx, Entry{Key: l.key(e), KV: e.kv})
		}) {
			if ctx.Err() != nil || matches(l.query.Labels, o) && (l.where == nil || l.where(o)) && !yield(o) {
				return
			}
		}
	}
}

// Keep leaves the objects whose key want takes.
func (l *Listing) Keep(want func(Key) bool) {
	l.entries = slices.DeleteFunc(l.entries, func(e listed) bool { return !want(l.key(e)) })
}

// Where leaves the objects that pass a test, which is asked as Objects goes along.
func (l *Listing) Where(test func(*Object) bool) { l.where = test }

// Sort puts the objects into another order: key is called once for each of them,
// and compare with two of its results. What compares alike stays as it was. It
// holds the keys, and decodes the objects once more than Objects does.
func (l *Listing) Sort(ctx context.Context, key func(*Object) (any, error), compare func(a, b any) int) error {
	type keyed struct {
		listed
		key any
	}
	var found []keyed
	for o := range l.Objects(ctx) {
		k, err := key(o)
		if err != nil {
			return err
		}
		found = append(found, keyed{listed{o.KV, o.Key.GroupResource()}, k})
	}
	slices.SortStableFunc(found, func(a, b keyed) int { return compare(a.key, b.key) })
	l.entries = l.entries[:0]
	for _, f := range found {
		l.entries = append(l.entries, f.listed)
	}
	return context.Cause(ctx)
}

// Len is the number of objects found, labels aside.
func (l *Listing) Len() int { return len(l.entries) }

// NotFound are the names that were asked for and that no object has.
func (l *Listing) NotFound() []string {
	var missing []string
	for _, name := range l.query.Names {
		if !slices.ContainsFunc(l.entries, func(e listed) bool { return l.key(e).Name == name }) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Missed takes the keys of objects that were asked for by name and not found.
func (l *Listing) Missed(k Key) bool {
	return slices.Contains(l.NotFound(), k.Name) && (k.Namespace == "" || l.query.Namespace == "" || k.Namespace == l.query.Namespace) &&
		slices.ContainsFunc(l.Kinds, func(r Resource) bool { return r.GroupResource() == k.GroupResource() })
}

// matches applies a label selector. Whether an unreadable object bears the
// labels cannot be known: it matches, so that it is named instead of being
// passed over in silence.
func matches(selector labels.Selector, o *Object) bool {
	if selector == nil || selector.Empty() || !o.Readable() {
		return true
	}
	return selector.Matches(labels.Set(o.Labels()))
}

func resourceSet(resources []Resource) map[schema.GroupResource]bool {
	set := map[schema.GroupResource]bool{}
	for _, r := range resources {
		set[r.GroupResource()] = true
	}
	return set
}
