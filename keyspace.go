package lifeboat

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// PrefixError says that no object stands under the prefix under which they were
// looked for, though there are keys: another --etcd-prefix is meant, or it is
// no Kubernetes cluster's database.
type PrefixError struct {
	Prefix string        // looked for
	Seen   []PrefixCount // the most keys first
	Guess  string        // a prefix under which namespaces stand, "" for none
}

// PrefixCount counts the living keys that begin alike.
type PrefixCount struct {
	Prefix string `json:"prefix"`
	Keys   int64  `json:"keys"`
}

// shownPrefixes bounds an error's length.
const shownPrefixes = 8

func (e *PrefixError) Error() string {
	var seen []string
	for _, p := range e.Seen[:min(len(e.Seen), shownPrefixes)] {
		seen = append(seen, fmt.Sprintf("%q (%d)", p.Prefix, p.Keys))
	}
	if more := len(e.Seen) - len(seen); more > 0 {
		seen = append(seen, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("no key stands under %q; the keys that are there begin with %s", e.Prefix, strings.Join(seen, ", "))
}

func (e *PrefixError) hint() string {
	if e.Guess != "" {
		return "--etcd-prefix " + e.Guess + " reads what stands there"
	}
	return "no namespaces stand under any of them: is it the database of a Kubernetes cluster? --etcd-prefix names another prefix"
}

// unlock finds the keys, once it is known that there is something to open.
func (b *Backup) unlock() (*registry.Keyring, error) {
	prefix := b.opts.EtcdPrefix
	if prefix == "" && b.control != nil {
		prefix = b.control.EtcdPrefix()
	}
	if err := b.checkKeyspace(context.Background(), prefix); err != nil {
		return nil, err
	}
	return b.keyring()
}

// checkKeyspace makes sure that there is something to find under a prefix: an
// empty answer to the wrong question looks like an empty cluster. It costs one
// key where all is well. An empty keyspace is told once, and no error.
func (b *Backup) checkKeyspace(ctx context.Context, prefix string) error {
	if prefix == "" {
		prefix = registry.DefaultPrefix
	}
	under := strings.TrimSuffix(prefix, "/") + "/"
	for _, err := range b.db.At(ctx, 0, func(key []byte) bool { return strings.HasPrefix(string(key), under) }) {
		return err
	}
	e := &PrefixError{Prefix: prefix}
	counts := map[string]int64{}
	for kv, err := range b.db.At(ctx, 0, nil) {
		if err != nil {
			return err
		}
		key := string(kv.Key)
		counts[beginning(key)]++
		if guess, ok := strings.CutSuffix(key, "/namespaces/kube-system"); ok && guess != "" {
			e.Guess = guess
		}
	}
	if len(counts) == 0 {
		b.opts.Observer.warn("the keyspace is empty: there is no key at all")
		return nil
	}
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		e.Seen = append(e.Seen, PrefixCount{p, counts[p]})
	}
	slices.SortStableFunc(e.Seen, func(a, b PrefixCount) int { return cmp.Compare(b.Keys, a.Keys) })
	return &Error{Class: Failed, Err: e, Hint: e.hint()}
}

// beginning is a key up to its second slash: "/registry", "cilium".
func beginning(key string) string {
	const most = 64
	from := 0
	if strings.HasPrefix(key, "/") {
		from = 1
	}
	if i := strings.IndexByte(key[from:], '/'); i >= 0 {
		key = key[:from+i]
	}
	return key[:min(len(key), most)]
}
