package snapshot

import (
	"context"
	"iter"
)

// KeyValue is one key of etcd's keyspace as it stood at a revision.
//
// Key and Value belong to the Reader that yielded them: they stay valid until
// it is closed and must not be written to (a direct reader hands out memory
// mapped pages).
type KeyValue struct {
	Key, Value []byte

	CreateRevision int64 // revision of the key's creation since it was last deleted
	ModRevision    int64 // revision of the newest change; Kubernetes' resourceVersion
	Version        int64 // changes since creation, from 1
	Lease          int64 // lease id, 0 for none
}

// Reader is a keyspace that can be read at a revision. Two engines meet it:
// DB reads the bbolt file directly, package etcdproc asks a real etcd.
type Reader interface {
	// Revision is the newest revision that the keyspace holds.
	Revision() int64

	// At yields every key that was alive at revision rev (0 means the newest)
	// and for which match answers true; a nil match takes all. The order is
	// the engine's own. A rev above Revision, or below the compacted
	// revision, is an error. An error ends the iteration.
	At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[KeyValue, error]
}
