package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// pageStep is the distance at which touch reads a value: no machine maps
// smaller pages.
const pageStep = 4096

// contextStep is how many records are read between two looks at the context.
const contextStep = 4096

// At meets Reader. It goes through bucket "key" once, from rev backwards: the
// first record of a key decides, and a tombstone says that the key is absent.
// So the keys come newest change first.
//
// A record whose key does not match costs nothing but the look at its key;
// a key that matches costs one entry in a set. No key and no value is copied:
// they point into the mapped file and are valid until Close.
//
// A rev below the compacted revision is ErrCompacted, one above Revision
// ErrFutureRevision; a record that cannot be parsed is ErrDamaged. The key ""
// that a restore with --bump-revision leaves behind is passed over, as by
// etcd's API, which knows no empty key.
func (db *DB) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		at, err := db.checkRevision(rev)
		if err != nil {
			yield(KeyValue{}, err)
			return
		}
		s := db.scan(ctx, at, match)
		for {
			kv, err := s.next()
			if err != nil {
				yield(KeyValue{}, fmt.Errorf("reading revision %d: %w", at, err))
				return
			}
			if kv.Key == nil || !yield(kv, nil) {
				return
			}
		}
	}
}

// scan is a walk backwards over bucket "key".
type scan struct {
	db     *DB
	ctx    context.Context
	cursor *bolt.Cursor
	move   func() (key, value []byte) // to the record to read next
	match  func(key []byte) bool
	seen   map[string]struct{} // matching keys; they point into the file

	records, tombstones int64 // read so far
}

func (db *DB) scan(ctx context.Context, rev int64, match func(key []byte) bool) *scan {
	s := &scan{db: db, ctx: ctx, cursor: db.keys.Cursor(), match: match, seen: make(map[string]struct{})}
	s.move = func() (key, value []byte) {
		s.move = s.cursor.Prev
		return db.seekLast(s.cursor, rev)
	}
	return s
}

// seekLast moves to the last record of a revision or, without one, the last
// before it.
func (db *DB) seekLast(c *bolt.Cursor, rev int64) (key, value []byte) {
	if rev < db.revision {
		var after [revisionSize]byte
		if key, _ := c.Seek(appendRevision(after[:0], rev+1, 0)); key != nil {
			return c.Prev()
		}
	}
	return c.Last()
}

// next returns the next key that is alive, a KeyValue without a key at the end.
func (s *scan) next() (kv KeyValue, err error) {
	err = s.db.region.guarded(func() error {
		kv, err = s.advance()
		touch(kv.Value)
		return err
	})
	return kv, err
}

func (s *scan) advance() (KeyValue, error) {
	for {
		if s.records%contextStep == 0 {
			if err := context.Cause(s.ctx); err != nil {
				return KeyValue{}, err
			}
		}
		rev, record := s.move()
		if rev == nil {
			return KeyValue{}, nil
		}
		s.records++
		if len(rev) == tombstoneSize {
			s.tombstones++
		}
		key, err := decodeKey(record)
		if err != nil {
			return KeyValue{}, recordError(rev, err)
		}
		if len(key) == 0 || s.match != nil && !s.match(key) {
			continue
		}
		name := unsafe.String(unsafe.SliceData(key), len(key))
		if _, ok := s.seen[name]; ok {
			continue
		}
		s.seen[name] = struct{}{}
		if len(rev) == tombstoneSize {
			continue
		}
		kv, err := decodeKeyValue(record)
		if err == nil && !bytes.Equal(kv.Key, key) {
			err = errNotKeyValue // a second key later in the record
		}
		if err != nil {
			return KeyValue{}, recordError(rev, err)
		}
		return kv, nil
	}
}

// touch reads one byte of every page that b lies on. The caller will read the
// value outside of guarded: a block that the disk cannot deliver has to show
// itself now. (Were the sum not kept alive, the reads would be left out.)
//
//go:noinline
func touch(b []byte) {
	var sum byte
	for i := 0; i < len(b); i += pageStep {
		sum ^= b[i]
	}
	if len(b) > 0 {
		sum ^= b[len(b)-1]
	}
	runtime.KeepAlive(sum)
}

// recordError says which record of bucket "key" cannot be parsed.
func recordError(key []byte, cause error) *DamagedError {
	rev, err := parseRevision(key)
	if err != nil {
		return damaged("%v", err)
	}
	return damaged("revision %s: %v", rev, cause)
}
