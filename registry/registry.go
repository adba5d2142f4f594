// Package registry reads Kubernetes objects out of etcd's keyspace, where
// kube-apiserver keeps them under /registry, and makes manifests of them that
// `kubectl create` takes.
//
// The way of the data is one line:
//
//	snapshot.Reader ─► Registry.Objects ─► Clean ─► Plan ─► WriteDir or WriteStream
//
// [New] looks at a keyspace. [Registry.Objects] makes one pass over it: keys
// are taken apart ([ParseKey]), the wanted values decrypted ([Keyring]) and
// decoded. [Registry.Select] is the same for what an operator lost: a
// namespace with all that belongs to it. [Clean] applies the rules of a
// profile, each with its reason and source ([Rules]).
//
// Nothing is lost in silence: a value that no key opens, that does not decode
// or that carries fields which the linked API does not know becomes a
// [Problem] of its object, and its raw bytes stay.
//
// The package knows built-in kinds by client-go's types and custom resources
// by their JSON. Conversion between versions is registry/printer's.
package registry

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unsafe"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say how a keyspace is laid out and read. The zero value reads the
// newest revision under /registry without keys.
type Options struct {
	Prefix   string   // kube-apiserver's --etcd-prefix; "" is DefaultPrefix
	Keyring  *Keyring // opens what is encrypted at rest; nil has no keys
	Revision int64    // etcd revision to read at; 0 is the newest
}

// Registry is a view of the Kubernetes objects in a keyspace at one revision.
type Registry struct {
	reader snapshot.Reader
	opts   Options

	partial bool // reader holds some objects alone: that it has none says nothing of the keyspace
}

// New returns a view of r. It reads nothing yet.
func New(r snapshot.Reader, opts Options) *Registry {
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	opts.Prefix = "/" + strings.Trim(opts.Prefix, "/")
	return &Registry{reader: r, opts: opts}
}

// Entry is a key and its value as stored, before any decoding.
type Entry struct {
	Key Key
	KV  snapshot.KeyValue
}

// Entries yields what is stored under the prefix and wanted, in one pass and
// without decoding. want sees each key that parses; nil wants all. The Entry
// lives as long as the Reader.
func (r *Registry) Entries(ctx context.Context, want func(Key) bool) iter.Seq2[Entry, error] {
	match := func(path []byte) bool {
		key, err := ParseKey(r.opts.Prefix, unsafe.String(unsafe.SliceData(path), len(path)))
		return err == nil && (want == nil || want(key))
	}
	return func(yield func(Entry, error) bool) {
		for kv, err := range r.reader.At(ctx, r.opts.Revision, match) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			// The key's bytes may be a mapped page; the Key outlives it.
			key, err := ParseKey(r.opts.Prefix, string(kv.Key))
			if err == nil && !yield(Entry{Key: key, KV: kv}, nil) {
				return
			}
		}
	}
}

// Objects yields the decoded objects whose key want takes, in the engine's
// order; they are decoded on all cores, some of them ahead of the loop. Keys that hold no API object (allocations, leases of API servers) are
// passed over. The error is the Reader's; an object that cannot be decrypted
// or decoded is yielded with a Problem.
func (r *Registry) Objects(ctx context.Context, want func(Key) bool) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		var failed error
		entries := func(yield func(Entry) bool) {
			for entry, err := range r.Entries(ctx, func(k Key) bool { return !k.System && (want == nil || want(k)) }) {
				if failed = err; err != nil || !yield(entry) {
					return
				}
			}
		}
		for _, o := range inOrder(entries, func(e Entry) *Object { return r.Decode(ctx, e) }) {
			if !yield(o, nil) {
				return
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// Decode decrypts and decodes one entry.
func (r *Registry) Decode(ctx context.Context, entry Entry) *Object {
	o := &Object{Key: entry.Key, KV: entry.KV, Namespace: entry.Key.Namespace, Name: entry.Key.Name}
	plain, err := r.opts.Keyring.Open(ctx, entry.Key.Path, entry.KV.Value)
	if err != nil {
		o.Form = Encrypted
		o.Problems = append(o.Problems, Problem{Locked, err.Error()})
		return o
	}
	o.Raw = plain
	decode(o)
	checkIdentity(o)
	return o
}

// checkIdentity compares what the object says of itself with its key. An
// object that was copied to another key by hand, or a value that the wrong
// write overwrote, would be created under the wrong name.
func checkIdentity(o *Object) {
	if o.GVK.Empty() {
		return
	}
	differ := func(what, object, key string) {
		o.Problems = append(o.Problems, Problem{Mismatch, fmt.Sprintf("the object's %s is %q, its key's %q", what, object, key)})
	}
	if o.Name != o.Key.Name {
		differ("name", o.Name, o.Key.Name)
	}
	if o.Namespace != o.Key.Namespace {
		differ("namespace", o.Namespace, o.Key.Namespace)
	}
	if builtin, ok := LookupKind(o.GVK.GroupKind()); ok {
		if builtin.GroupResource() != o.Key.GroupResource() {
			differ("resource", builtin.String(), o.Key.Resource())
		}
	} else if group := o.GVK.Group; group != o.Key.Group {
		// Aggregated API servers, OpenShift's first of all, leave the group out of their keys.
		if _, known := LookupResource(o.Key.GroupResource()); known || o.Key.Group != "" {
			differ("group", group, o.Key.Group)
		}
	}
}
