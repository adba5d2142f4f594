package snapshot

import (
	"context"
	"fmt"
)

// Hash is the answer of `etcdctl endpoint hashkv`, under its names.
type Hash struct {
	Hash            uint32 `json:"hash"`
	HashRevision    int64  `json:"hash_revision"`
	CompactRevision int64  `json:"compact_revision"` // -1: nothing was compacted
}

// HashKV is the hash that every member computes alike for the history up to
// revision rev (0 means the newest): the figure of `etcdctl endpoint hashkv`.
// It takes some 12 bytes of memory for each record when something was
// compacted, and nothing otherwise.
func (db *DB) HashKV(ctx context.Context, rev int64) (Hash, error) {
	at, err := db.checkRevision(rev)
	if err != nil {
		return Hash{}, fmt.Errorf("hashing keys: %w", err)
	}
	h := Hash{HashRevision: at, CompactRevision: db.compacted}
	keep, err := db.keep(ctx, at)
	if err == nil {
		h.Hash, err = db.hashRecords(ctx, at, keep)
	}
	if err != nil {
		return Hash{}, fmt.Errorf("hashing keys at revision %d: %w", at, err)
	}
	return h, nil
}

// hashRecords is kvHasher of etcd server/storage/mvcc/hash.go, on all cores;
// keep are the records that count of those at or below the compacted revision.
func (db *DB) hashRecords(ctx context.Context, at int64, keep *newest) (uint32, error) {
	l := &db.usage.leaves
	parts := make([]crcOf, l.parts())
	err := inParts(len(parts), db.region.guarded, func(i int) error {
		return db.eachRecord(ctx, l.part(i), func(r stored) (stop bool, err error) {
			rev, err := parseRevision(r.key)
			if err != nil {
				return false, damaged("%v", err)
			}
			if rev.main > at {
				return true, nil
			}
			if rev.main <= db.compacted {
				// No tombstone is kept. That leaves out the one at the compacted
				// revision, which etcd before 3.4.34 and 3.5.16 deletes and
				// newer ones keep.
				if name, err := decodeKey(r.value); err != nil || rev.tombstone || !keep.is(r, name) {
					return false, err
				}
			}
			parts[i].write(r.key)
			parts[i].write(r.value)
			return false, nil
		})
	})
	var whole crcOf
	whole.write([]byte(keyBucket))
	for _, part := range parts {
		whole = whole.then(part)
	}
	return whole.sum, err
}

// keep is treeIndex.Keep of etcd server/storage/mvcc/index.go: of each key the
// newest record up to revision at, unless that is a tombstone. When no key is
// alive at that revision, etcd takes every record that the compaction has left;
// so that a compaction that was cut off makes no difference, that set is
// computed here too.
func (db *DB) keep(ctx context.Context, at int64) (*newest, error) {
	if db.compacted < 0 {
		return nil, nil //nolint:nilnil // every record counts
	}
	keep, err := db.newestAt(ctx, at)
	if err == nil && keep.alive() == 0 && !isAlive(keep.nameless.Load()) && at > db.compacted {
		return db.newestAt(ctx, db.compacted)
	}
	return keep, err
}
