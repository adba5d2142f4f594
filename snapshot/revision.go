package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A key of bucket "key" (etcd server/storage/mvcc/revision.go):
//
//	main u64 big endian · '_' · sub u64 big endian [ · 't' for a tombstone ]
const (
	revisionSize  = 17
	tombstoneSize = 18
)

// revision numbers one change: the sub-th of the transaction that made the
// keyspace's main-th revision.
type revision struct {
	main, sub int64
	tombstone bool
}

// parseRevision is etcd's BytesToBucketKey, which panics instead. Its errors do
// not show the key: in a damaged page those bytes may be a part of a value.
func parseRevision(key []byte) (revision, error) {
	if len(key) != revisionSize && len(key) != tombstoneSize {
		return revision{}, fmt.Errorf("revision key has %d bytes, want %d or %d", len(key), revisionSize, tombstoneSize)
	}
	if key[8] != '_' {
		return revision{}, errors.New("revision key has no '_' between its numbers")
	}
	if len(key) == tombstoneSize && key[revisionSize] != 't' {
		return revision{}, errors.New("revision key has 18 bytes and does not end in 't'")
	}
	r := revision{
		main:      int64(binary.BigEndian.Uint64(key)),
		sub:       int64(binary.BigEndian.Uint64(key[9:])),
		tombstone: len(key) == tombstoneSize,
	}
	if r.main < 0 || r.sub < 0 {
		return revision{}, fmt.Errorf("revision key is negative: %d, %d", r.main, r.sub)
	}
	return r, nil
}

// appendRevision appends the key of a revision that is not a tombstone.
func appendRevision(b []byte, main, sub int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(main))
	b = append(b, '_')
	return binary.BigEndian.AppendUint64(b, uint64(sub))
}

func (r revision) String() string { return fmt.Sprintf("%d.%d", r.main, r.sub) }

// clip keeps hostile names out of error texts.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }
