package snapshot

import (
	"context"
	"fmt"
	"iter"
)

// Record is one change that the database holds: of the history, or the newest
// of its key.
type Record struct {
	KeyValue        // of a deletion the key alone
	Main, Sub int64 // the revision
	Deleted   bool  // a tombstone
	Size      int   // bytes that it takes in bucket "key"
}

// Records yields every change after revision since, the newest first. A Key
// and Value belong to the DB. An error ends the iteration.
func (db *DB) Records(ctx context.Context, since int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		cursor := db.keys.Cursor()
		move := cursor.Last
		for n := 1; ; n++ {
			var r Record
			end := false
			err := db.region.guarded(func() (err error) {
				if n%contextStep == 0 {
					if err := context.Cause(ctx); err != nil {
						return err
					}
				}
				key, value := move()
				if end = key == nil; end {
					return nil
				}
				r, err = decodeRecord(key, value)
				end = r.Main <= since && err == nil
				touch(value)
				return err
			})
			move = cursor.Prev
			switch {
			case err != nil:
				yield(Record{}, fmt.Errorf("reading records: %w", err))
				return
			case end || !yield(r, nil):
				return
			}
		}
	}
}

func decodeRecord(key, value []byte) (Record, error) {
	rev, err := parseRevision(key)
	if err != nil {
		return Record{}, damaged("%v", err)
	}
	kv, err := decodeKeyValue(value)
	if err != nil {
		return Record{}, recordError(key, err)
	}
	return Record{KeyValue: kv, Main: rev.main, Sub: rev.sub, Deleted: rev.tombstone, Size: len(key) + len(value)}, nil
}
