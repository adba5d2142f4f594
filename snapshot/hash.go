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
		if rev.main <= db.compacted && keep.any && !keep.has(rev) {
			continue
		}
		// etcd before 3.4.34 and 3.5.16 deletes a tombstone at the compacted
		// revision, newer ones keep it: it never counts.
		if rev.main == db.compacted && rev.tombstone {
			continue
		}
		sum.Write(key)
		sum.Write(record)
	}
	return sum.Sum32(), nil
}

// keepSet holds the records at or below the compacted revision that a
// compaction at the hashed revision would keep. any says that it would keep
// some record at all, above the compacted revision too: without any, etcd
// leaves out nothing.
type keepSet struct {
	old map[revision]struct{}
	any bool
}

func (k keepSet) has(r revision) bool {
	_, ok := k.old[r]
	return ok
}

// keepSet is treeIndex.Keep of etcd server/storage/mvcc/index.go. Of each key
// it takes the newest record up to revision at, unless that is a tombstone.
//
// One case differs from that rule in key_index.go, and so it does here: a key
// that was deleted and put again within revision at itself is not kept, since
// doCompact looks no further than the generation that ends there.
func (db *DB) keepSet(ctx context.Context, at int64) (keepSet, error) {
	keep := keepSet{old: make(map[revision]struct{})}
	if db.compacted < 0 {
		return keep, nil
	}
	seen := make(map[string]struct{})
	again := make(map[string]revision) // put in revision at
	read := 0
	cursor := db.keys.Cursor()
	for key, record := db.seekLast(cursor, at); key != nil; key, record = cursor.Prev() {
		if read++; read%contextStep == 0 {
			if err := context.Cause(ctx); err != nil {
				return keep, err
			}
		}
		rev, err := parseRevision(key)
		if err != nil {
			return keep, damaged("%v", err)
		}
		bytes, err := decodeKey(record)
		if err != nil {
			return keep, recordError(key, err)
		}
		name := unsafe.String(unsafe.SliceData(bytes), len(bytes))
		if rev.main == at && rev.tombstone {
			if put, ok := again[name]; ok {
				delete(keep.old, put)
			}
		}
		if _, ok := seen[name]; ok {
			continue
		}
		seen[name] = struct{}{}
		if rev.tombstone {
			continue
		}
		if rev.main == at {
			again[name] = rev
		}
		keep.old[rev] = struct{}{}
	}
	keep.any = len(keep.old) > 0
	for rev := range keep.old {
		if rev.main > db.compacted {
			delete(keep.old, rev)
		}
	}
	return keep, nil
}
