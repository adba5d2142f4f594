package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math"
)

// compareHistories holds what two databases have in common against each other.
func compareHistories(ctx context.Context, older, newer Part) (Link, error) {
	c := comparison{ctx: ctx, a: older.DB, b: newer.DB, fork: math.MaxInt64}
	link := Link{Older: older.Name, Newer: newer.Name}
	err := c.run()
	if err == nil && c.fork < math.MaxInt64 {
		err = &ForkError{Older: older.Name, Newer: newer.Name, Revision: c.fork}
	}
	link.Compared = c.compared
	if first := newer.DB.Windows()[0].First; first > older.DB.revision+1 {
		link.Hole = Window{older.DB.revision + 1, first - 1}
	}
	return link, err
}

// comparison of a database and one that is no older.
type comparison struct {
	ctx      context.Context
	a, b     *DB
	compared int64
	fork     int64 // the first difference
}

func (c *comparison) run() error {
	from := max(c.a.compacted, c.b.compacted, 0)
	if from > c.a.revision {
		return c.acrossHole()
	}
	if err := c.changes(from); err != nil {
		return err
	}
	if from == 0 || c.fork < math.MaxInt64 {
		return nil
	}
	return c.states(from)
}

// changes compares the changes after revision from, up to a's newest. Both
// sides come newest first.
func (c *comparison) changes(from int64) error {
	nextA, stopA := iter.Pull2(c.a.changes(c.ctx, from, c.a.revision, nil))
	defer stopA()
	nextB, stopB := iter.Pull2(c.b.changes(c.ctx, from, c.a.revision, nil))
	defer stopB()
	a, err := pull(nextA)
	if err != nil {
		return err
	}
	b, err := pull(nextB)
	for err == nil && (a.Key != nil || b.Key != nil) {
		order := cmp.Or(cmp.Compare(a.Main, b.Main), cmp.Compare(a.Sub, b.Sub))
		switch {
		case order == 0 && sameRecord(a, b):
			c.compared++
		case order == 0:
			c.fork = a.Main
		default:
			c.fork = max(a.Main, b.Main) // the other side has none there
		}
		if order >= 0 {
			if a, err = pull(nextA); err != nil {
				return err
			}
		}
		if order <= 0 {
			b, err = pull(nextB)
		}
	}
	return err
}

// pull is the next record, one without a key at the end.
func pull(next func() (Record, error, bool)) (Record, error) {
	r, err, ok := next()
	if !ok {
		return Record{}, nil
	}
	return r, err
}

func sameRecord(a, b Record) bool {
	return a.Deleted == b.Deleted && sameKeyValue(a.KeyValue, b.KeyValue)
}

func sameKeyValue(a, b KeyValue) bool {
	return a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && a.Version == b.Version &&
		a.Lease == b.Lease && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

// states compares the living keys at a revision, in whatever order they come.
func (c *comparison) states(rev int64) error {
	seed := maphash.MakeSeed()
	sum := func(db *DB) (sum uint64, keys int64, err error) {
		for kv, err := range db.At(c.ctx, rev, nil) {
			if err != nil {
				return 0, 0, err
			}
			sum += digest(seed, kv)
			keys++
		}
		return sum, keys, nil
	}
	a, keys, err := sum(c.a)
	if err != nil {
		return err
	}
	b, _, err := sum(c.b)
	if err != nil {
		return err
	}
	c.compared += keys
	if a != b {
		c.fork = rev
	}
	return nil
}

func digest(seed maphash.Seed, kv KeyValue) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var numbers [48]byte
	for i, n := range []int64{int64(len(kv.Key)), int64(len(kv.Value)), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease} {
		binary.BigEndian.PutUint64(numbers[8*i:], uint64(n))
	}
	h.Write(numbers[:])
	h.Write(kv.Key)
	h.Write(kv.Value)
	return h.Sum64()
}

// acrossHole compares where b's history begins after a's end: what b still has
// of before has outlived a's end, and so is the newest of its key in a.
func (c *comparison) acrossHole() error {
	old := map[string]KeyValue{}
	for r, err := range c.b.changes(c.ctx, 0, c.a.revision, nil) {
		if err != nil {
			return err
		}
		if _, newer := old[string(r.Key)]; !newer && !r.Deleted {
			old[string(r.Key)] = r.KeyValue
		}
	}
	if len(old) == 0 {
		return nil
	}
	for kv, err := range c.a.At(c.ctx, 0, func(key []byte) bool { _, ok := old[string(key)]; return ok }) {
		if err != nil {
			return err
		}
		if other := old[string(kv.Key)]; sameKeyValue(kv, other) {
			c.compared++
		} else {
			c.fork = min(c.fork, max(kv.ModRevision, other.ModRevision))
		}
		delete(old, string(kv.Key))
	}
	for _, other := range old { // a had deleted them, or never had them
		c.fork = min(c.fork, other.ModRevision)
	}
	return nil
}
