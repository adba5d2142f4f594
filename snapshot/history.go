package snapshot

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
)

// History is a Reader whose past can be read as well: a DB, or several of them
// joined (Join).
type History interface {
	Reader

	// Windows are the stretches of revisions of which everything is known, the
	// newest first. What lies between two of them is a hole.
	Windows() []Window

	// Changes yields the changes that are still held of the keys for which
	// match answers true, the newest first; a nil match takes all. Changes
	// within a window are complete. Of what was compacted, and within holes,
	// only those are there that were the newest of their key at some later
	// point. An error ends the iteration.
	Changes(ctx context.Context, match func(key []byte) bool) iter.Seq2[Record, error]
}

var _ History = (*DB)(nil)

// Window is a stretch of revisions: At answers for each of them, and every
// change after First, up to Last, is held.
type Window struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Holds reports whether the keyspace can be read at a revision of the window.
func (w Window) Holds(rev int64) bool { return w.First <= rev && rev <= w.Last }

// Windows of a database is one, from what was compacted on.
func (db *DB) Windows() []Window { return []Window{{max(db.compacted, 1), db.revision}} }

// Changes meets History. A record whose key does not match costs nothing but
// the look at its key; no key and no value is copied: they are valid until
// Close. The key "" that a restore with --bump-revision leaves is passed over.
func (db *DB) Changes(ctx context.Context, match func(key []byte) bool) iter.Seq2[Record, error] {
	return db.changes(ctx, 0, db.revision, match)
}

// changes are those after revision since, up to revision upTo.
func (db *DB) changes(ctx context.Context, since, upTo int64, match func(key []byte) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		w := changeWalk{ctx: ctx, since: since, match: match}
		cursor := db.keys.Cursor()
		w.move = func() (key, value []byte) {
			w.move = cursor.Prev
			return db.seekLast(cursor, upTo)
		}
		for {
			var r Record
			err := db.region.guarded(func() (err error) {
				r, err = w.next()
				touch(r.Value)
				return err
			})
			switch {
			case err != nil:
				yield(Record{}, fmt.Errorf("reading the history: %w", err))
				return
			case r.Key == nil || !yield(r, nil):
				return
			}
		}
	}
}

// changeWalk goes backwards over bucket "key".
type changeWalk struct {
	ctx   context.Context
	since int64
	match func(key []byte) bool
	move  func() (key, value []byte)
	seen  int64
}

// next is the next record that matches, one without a key at the end.
func (w *changeWalk) next() (Record, error) {
	for {
		if w.seen++; w.seen%contextStep == 0 {
			if err := context.Cause(w.ctx); err != nil {
				return Record{}, err
			}
		}
		rev, record := w.move()
		if rev == nil {
			return Record{}, nil
		}
		key, err := decodeKey(record)
		if err != nil {
			return Record{}, recordError(rev, err)
		}
		if len(key) > 0 && (w.match == nil || w.match(key)) {
			r, err := decodeRecord(rev, record)
			if err == nil && r.Main <= w.since {
				return Record{}, nil
			}
			return r, err
		}
		if w.since > 0 {
			if at, err := parseRevision(rev); err != nil || at.main <= w.since {
				return Record{}, err
			}
		}
	}
}

// Leases are the ids of the leases that are granted.
func (db *DB) Leases() (map[int64]bool, error) {
	ids := map[int64]bool{}
	err := db.region.guarded(func() error {
		leases := db.tx.Bucket([]byte("lease"))
		if leases == nil {
			return nil
		}
		return leases.ForEach(func(key, _ []byte) error {
			if len(key) != 8 {
				return damaged("lease id has %d bytes, want 8", len(key))
			}
			ids[int64(binary.BigEndian.Uint64(key))] = true
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	return ids, nil
}
