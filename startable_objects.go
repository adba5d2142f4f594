package lifeboat

import (
	"errors"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// ObjectsWherever is Objects(0), but for a backup whose manifest has another
// prefix than its keys: they are read where they stand, and elsewhere says so.
// It is nil where the two agree.
func (b *Backup) ObjectsWherever() (reg *registry.Registry, elsewhere *registry.PrefixError, err error) {
	reg, err = b.Objects(0)
	if err == nil || !errors.As(err, &elsewhere) || elsewhere.Keyspace.Best() == "" {
		return reg, nil, err
	}
	ring, err := b.keyring()
	if err != nil {
		return nil, nil, err
	}
	return registry.New(b.History(), registry.Options{Prefix: elsewhere.Keyspace.Best(), Keyring: ring}), elsewhere, nil
}
