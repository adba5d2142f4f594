package snapshot

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Beyond holds db against base, which it was made from. Its first records have
// to be those of base, byte for byte, with the history: anything else is
// ErrDamaged. It returns the records that db has beyond them; their Key and
// Value belong to db.
func (db *DB) Beyond(ctx context.Context, base *DB) (more []Record, err error) {
	return db.BeyondCut(ctx, base, 0)
}

// BeyondCut is Beyond where of base only the records up to a revision count; 0
// is all of them.
func (db *DB) BeyondCut(ctx context.Context, base *DB, cut int64) (more []Record, err error) {
	err = db.withBoth(base, func() error {
		more, err = db.beyond(ctx, base, cut)
		return err
	})
	if err == nil && cut > 0 { // pages that are the same were passed over, also behind the cut
		more = nil
		for r, err := range db.Records(ctx, cut) {
			if err != nil {
				return nil, err
			}
			more = append(more, r)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("comparing records: %w", err)
	}
	return more, nil
}

// withBoth is guarded for the memory of two databases.
func (db *DB) withBoth(base *DB, do func() error) error {
	return db.region.guarded(func() error { return base.region.guarded(do) })
}

func (db *DB) beyond(ctx context.Context, base *DB, cut int64) (more []Record, err error) {
	own, other := db.recordsOf(ctx, db.usage.leaves.at), base.recordsOf(ctx, base.usage.leaves.at)
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if own.skipSamePage(other) {
			continue
		}
		want, err := other.next()
		if err != nil {
			return nil, err
		}
		if want.key == nil {
			break
		}
		if rev, _ := parseRevision(want.key); cut > 0 && rev.main > cut {
			return nil, nil
		}
		got, err := own.next()
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(got.key, want.key) || !bytes.Equal(got.value, want.value) {
			rev, _ := parseRevision(want.key) // it was one when the file was opened
			return nil, damaged("the record of revision %s is not what it was", rev)
		}
	}
	for {
		r, err := own.next()
		if err != nil || r.key == nil {
			return more, err
		}
		record, err := decodeRecord(r.key, r.value)
		if err != nil {
			return nil, err
		}
		more = append(more, record)
	}
}

// DifferentBuckets names the buckets besides "key" that are not the same, key
// by key, in both databases.
func (db *DB) DifferentBuckets(base *DB) (names []string, err error) {
	err = db.withBoth(base, func() error {
		if err := db.tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			if string(name) != keyBucket && !sameBucket(b, base.tx.Bucket(name)) {
				names = append(names, string(name))
			}
			return nil
		}); err != nil {
			return err
		}
		return base.tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if db.tx.Bucket(name) == nil {
				names = append(names, string(name))
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("comparing buckets: %w", err)
	}
	return names, nil
}

func sameBucket(a, b *bolt.Bucket) bool {
	if b == nil {
		return false
	}
	cursorA, cursorB := a.Cursor(), b.Cursor()
	keyA, valueA := cursorA.First()
	keyB, valueB := cursorB.First()
	for keyA != nil && bytes.Equal(keyA, keyB) && bytes.Equal(valueA, valueB) {
		keyA, valueA = cursorA.Next()
		keyB, valueB = cursorB.Next()
	}
	return keyA == nil && keyB == nil
}
