package snapshot

import (
	"context"
	"fmt"
	"hash/crc32"
	"unsafe"
)

// Hash is the answer of `etcdctl endpoint hashkv`, under its names.
type Hash struct {
	Hash            uint32 `json:"hash"`
	HashRevision    int64  `json:"hash_revision"`
	CompactRevision int64  `json:"compact_revision"` // -1: nothing was compacted
}

// HashKV is the hash that every member computes alike for the history up to
// revision rev (0 means the newest): the figure of `etcdctl endpoint hashkv`.
// It allocates an entry per live key when something was compacted, and nothing
// otherwise.
func (db *DB) HashKV(ctx context.Context, rev int64) (Hash, error) {
	at, err := db.checkRevision(rev)
	if err != nil {
		return Hash{}, fmt.Errorf("hashing keys: %w", err)
	}
	h := Hash{HashRevision: at, CompactRevision: db.compacted}
	err = db.region.guarded(func() error {
		keep, err := db.keepSet(ctx, at)
		if err != nil {
			return err
		}
		h.Hash, err = db.hashRecords(ctx, at, keep)
		return err
	})
	if err != nil {
		return Hash{}, fmt.Errorf("hashing keys at revision %d: %w", at, err)
	}
	return h, nil
}

// hashRecords is kvHasher of etcd server/storage/mvcc/hash.go.
func (db *DB) hashRecords(ctx context.Context, at int64, keep keepSet) (uint32, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	sum.Write([]byte(keyBucket))
	read := 0
	cursor := db.keys.Cursor()
	for key, record := cursor.First(); key != nil; key, record = cursor.Next() {
		if read++; read%contextStep == 0 {
			if err := context.Cause(ctx); err != nil {
				return 0, err
			}
		}
		rev, err := parseRevision(key)
		if err != nil {
			return 0, damaged("%v", err)
		}
		if rev.main > at {
			break
		}
		// A tombstone is in no keep set. That leaves out the one at the
		// compacted revision, which etcd before 3.4.34 and 3.5.16 deletes and
		// newer ones keep.
		if _, ok := keep[rev]; rev.main <= db.compacted && !ok {
			continue
		}
		sum.Write(key)
		sum.Write(record)
	}
	return sum.Sum32(), nil
}

// keepSet holds those records at or below the compacted revision that count.
type keepSet map[revision]struct{}

// keepSet is treeIndex.Keep of etcd server/storage/mvcc/index.go: of each key
// the newest record up to revision at, unless that is a tombstone. When no key
// is alive at that revision, etcd takes every record that the compaction has
// left; so that a compaction that was cut off makes no difference, that set is
// computed here too.
func (db *DB) keepSet(ctx context.Context, at int64) (keepSet, error) {
	if db.compacted < 0 {
		return nil, nil
	}
	keep, alive := make(keepSet), false
	seen := make(map[string]struct{})
	read := 0
	cursor := db.keys.Cursor()
	for key, record := db.seekLast(cursor, at); key != nil; key, record = cursor.Prev() {
		if read++; read%contextStep == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		rev, err := parseRevision(key)
		if err != nil {
			return nil, damaged("%v", err)
		}
		bytes, err := decodeKey(record)
		if err != nil {
			return nil, recordError(key, err)
		}
		name := unsafe.String(unsafe.SliceData(bytes), len(bytes))
		if _, ok := seen[name]; ok {
			continue
		}
		seen[name] = struct{}{}
		if rev.tombstone {
			continue
		}
		alive = true
		if rev.main <= db.compacted {
			keep[rev] = struct{}{}
		}
	}
	if !alive && at > db.compacted {
		return db.keepSet(ctx, db.compacted)
	}
	return keep, nil
}
