package lifeboat

import (
	"context"
	"strings"

	"github.com/lifeboat-dr/lifeboat/registry"
)

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
// key where all is well. An empty keyspace, and one in which everything is
// deleted, are told once, and no error: the history may be what is wanted.
func (b *Backup) checkKeyspace(ctx context.Context, prefix string) error {
	if prefix == "" {
		prefix = registry.DefaultPrefix
	}
	under := strings.TrimSuffix(prefix, "/") + "/"
	for _, err := range b.db.At(ctx, 0, func(key []byte) bool { return strings.HasPrefix(string(key), under) }) {
		return err
	}
	space, err := registry.New(b.db, registry.Options{Prefix: prefix}).Keyspace(ctx)
	if err != nil {
		return err
	}
	if space.Wiped() {
		b.opts.Observer.warn("%s", space.Check())
		return nil
	}
	if space.Keys == 0 {
		b.opts.Observer.warn("the keyspace is empty: there is no key at all")
		return nil
	}
	hint := "is it the database of a Kubernetes cluster? --etcd-prefix names another prefix"
	if best := space.Best(); best != "" {
		hint = "--etcd-prefix " + best + " reads what stands there"
	}
	return &Error{Class: Failed, Err: space.Check(), Hint: hint}
}
