package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Keyspace is how the keys of a database stand to the prefix under which
// objects are looked for.
type Keyspace struct {
	Prefix string `json:"prefix"` // the one that is looked under
	Keys   int64  `json:"keys"`   // all live keys
	Under  int64  `json:"under"`  // of them, those of objects under Prefix

	// Deleted are the objects under Prefix that the history still holds, and
	// LastDeleted is the revision that the last of them went at. They are looked
	// for only where nothing stands under Prefix.
	Deleted     int64 `json:"deleted,omitempty"`
	LastDeleted int64 `json:"lastDeleted,omitempty"`

	// Elsewhere are the prefixes of all other keys, those with the most objects
	// first.
	Elsewhere []PrefixCount `json:"elsewhere"`
}

// PrefixCount is what stands under one prefix.
type PrefixCount struct {
	Prefix    string `json:"prefix"`    // "/kubernetes.io"; "" for keys without a slash
	Keys      int64  `json:"keys"`      //
	Objects   int64  `json:"objects"`   // of them, values in a form that kube-apiserver writes
	Encrypted int64  `json:"encrypted"` // of them, encrypted at rest
	Owner     string `json:"owner,omitempty"`
}

// Keyspace counts all live keys by their prefixes, in one pass that decodes
// nothing.
func (r *Registry) Keyspace(ctx context.Context) (*Keyspace, error) {
	t := newPrefixTally(r.opts.Prefix)
	for kv, err := range r.reader.At(ctx, r.opts.Revision, nil) {
		if err != nil {
			return nil, err
		}
		t.add(string(kv.Key), kv.Value)
	}
	space := t.done()
	if space.Under == 0 {
		if err := r.countDeleted(ctx, space); err != nil {
			return nil, err
		}
	}
	return space, nil
}

// Elsewhere counts the objects that do not stand under the prefix, by theirs.
func (r *Registry) Elsewhere(ctx context.Context) ([]PrefixCount, error) {
	t, under := newPrefixTally(r.opts.Prefix), []byte(r.opts.Prefix+"/")
	for kv, err := range r.reader.At(ctx, r.opts.Revision, func(key []byte) bool { return !bytes.HasPrefix(key, under) }) {
		if err != nil {
			return nil, err
		}
		t.add(string(kv.Key), kv.Value)
	}
	return slices.DeleteFunc(t.done().Elsewhere, func(n PrefixCount) bool { return n.Objects == 0 }), nil
}

// countDeleted looks for what stood under the prefix once. An engine without a
// history has nothing to tell.
func (r *Registry) countDeleted(ctx context.Context, space *Keyspace) error {
	h, ok := r.reader.(snapshot.History)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for record, err := range h.Changes(ctx, r.matcher(nil)) {
		if err != nil {
			return err
		}
		if r.opts.Revision != 0 && record.Main > r.opts.Revision {
			continue
		}
		if record.Deleted {
			space.LastDeleted = max(space.LastDeleted, record.Main)
		} else {
			seen[string(record.Key)] = true
		}
	}
	space.Deleted = int64(len(seen))
	return nil
}

// prefixTally collects a Keyspace.
type prefixTally struct {
	space  Keyspace
	counts map[string]*PrefixCount
}

func newPrefixTally(prefix string) *prefixTally {
	return &prefixTally{space: Keyspace{Prefix: prefix}, counts: map[string]*PrefixCount{}}
}

func (t *prefixTally) add(key string, value []byte) {
	t.space.Keys++
	if k, err := ParseKey(t.space.Prefix, key); err == nil {
		if !k.System {
			t.space.Under++
		}
		return
	}
	form := FormOf(value)
	if foreign(key) {
		form = Opaque // JSON of their own
	}
	prefix := prefixOf(key, form != Opaque)
	n := t.counts[prefix]
	if n == nil {
		n = &PrefixCount{Prefix: prefix, Owner: ownerOf(prefix)}
		t.counts[prefix] = n
	}
	n.Keys++
	if form != Opaque {
		n.Objects++
	}
	if form == Encrypted {
		n.Encrypted++
	}
}

func (t *prefixTally) done() *Keyspace {
	t.space.Elsewhere = sorted(t.counts, func(a, b PrefixCount) int {
		return cmp.Or(cmp.Compare(b.Objects, a.Objects), cmp.Compare(b.Keys, a.Keys), strings.Compare(a.Prefix, b.Prefix))
	})
	return &t.space
}

// prefixOf is what stands before the resource in the key of an object, "/a/b"
// of "/a/b/pods/shop/web", and the first segment of other keys.
func prefixOf(key string, object bool) string {
	segments := strings.Split(strings.TrimPrefix(key, "/"), "/")
	if len(segments) < 2 {
		if !strings.HasPrefix(key, "/") {
			return ""
		}
		return "/" + segments[0]
	}
	lead := key[:len(key)-len(strings.TrimPrefix(key, "/"))]
	if object {
		const deepest = 4
		for n := 1; n < len(segments)-1 && n <= deepest; n++ {
			if _, known := loadBuiltins().byPrefix[segments[n]]; known || segments[n] == "services" {
				return lead + strings.Join(segments[:n], "/")
			}
		}
	}
	return lead + segments[0]
}

// ownerOf names who keeps keys under a prefix that is not kube-apiserver's.
func ownerOf(prefix string) string {
	switch strings.TrimPrefix(prefix, "/") {
	case "cilium":
		return "Cilium"
	case "calico":
		return "Calico"
	case "coreos.com":
		return "Flannel or Container Linux"
	case "bootstrap":
		return "k3s or rke2: the cluster's keys, encrypted by the server's token"
	case "openshift.io":
		return "OpenShift's own API server"
	case "kubernetes.io":
		return "OpenShift's kube-apiserver"
	case "registry":
		return "kube-apiserver"
	}
	return ""
}

// foreign says whether a key belongs to a program that keeps data of its own
// beside kube-apiserver's.
func foreign(key string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	switch first {
	case "cilium", "calico", "coreos.com", "bootstrap":
		return true
	}
	return false
}

// checkPrefix is the Check of a keyspace in which nothing was found.
func (r *Registry) checkPrefix(ctx context.Context) error {
	if r.partial {
		return nil
	}
	space, err := r.Keyspace(ctx)
	if err != nil {
		return err
	}
	return space.Check()
}

// Best is the prefix under which most objects stand elsewhere, "" when there
// are none.
func (k *Keyspace) Best() string {
	for _, n := range k.Elsewhere {
		if n.Objects > 0 && strings.HasPrefix(n.Prefix, "/") {
			return n.Prefix
		}
	}
	return ""
}

// Check is nil where objects stand under the prefix, and a *PrefixError where
// there is none: what is looked for in such a keyspace is not found, and that
// it is not encrypted cannot be said.
func (k *Keyspace) Check() error {
	if k.Under > 0 {
		return nil
	}
	return &PrefixError{Keyspace: *k}
}

// Wiped says whether objects stood under the prefix, all of them were deleted,
// and none stands anywhere else: the prefix is right, and the history has them.
func (k *Keyspace) Wiped() bool { return k.Under == 0 && k.Deleted > 0 && k.Best() == "" }

// wiped says whether an error is that of a keyspace whose objects are deleted.
func wiped(err error) bool {
	var prefix *PrefixError
	return errors.As(err, &prefix) && prefix.Keyspace.Wiped()
}

// counted is a number with its word: 1 key, 2 keys.
func counted(n int64, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// PrefixError says that no object stands under the prefix that was looked under.
type PrefixError struct{ Keyspace Keyspace }

func (e *PrefixError) Error() string {
	k := e.Keyspace
	if k.Wiped() {
		return fmt.Sprintf("every object under %q is deleted, the last one at revision %d; the history still holds %d of them: "+
			"extract --deleted brings them back, --rev reads an older revision", k.Prefix, k.LastDeleted, k.Deleted)
	}
	if k.Keys == 0 {
		return "the database holds no key at all: it is that of a cluster that never started, or an empty one"
	}
	const most = 5
	var seen []string
	for _, n := range k.Elsewhere {
		if len(seen) == most {
			seen = append(seen, fmt.Sprintf("and %d more prefixes", len(k.Elsewhere)-most))
			break
		}
		text := fmt.Sprintf("%s under %q", counted(n.Keys, "key"), n.Prefix)
		switch {
		case n.Owner != "" && n.Objects == 0:
			text += " (" + n.Owner + ")"
		case n.Objects > 0:
			text += fmt.Sprintf(" (%s)", counted(n.Objects, "Kubernetes object"))
		}
		seen = append(seen, text)
	}
	if len(seen) == 0 { // what is there are allocations and leases of API servers
		seen = append(seen, counted(k.Keys, "key")+" of API servers and no object")
	}
	text := fmt.Sprintf("no Kubernetes object stands under %q; the database holds %s", k.Prefix, strings.Join(seen, ", "))
	if best := k.Best(); best != "" {
		text += fmt.Sprintf(": give --etcd-prefix %q", best)
	}
	return text
}
