package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// newest knows the newest record of each key up to a revision. It is a hash
// table of some 12 bytes for each record, which any number of goroutines may
// fill at once, in any order. The keys stay where they are, in the file.
type newest struct {
	data  []byte
	seed  maphash.Seed
	slots []atomic.Uint64 // 0, or tag | deleted | offset of the record's element

	// nameless is for the key "" that a restore with --bump-revision leaves,
	// and that is no key to etcd's API.
	nameless atomic.Uint64
}

// newestNow keeps the table of the newest revision, for which most ask.
type newestNow struct {
	sync.Mutex
	table *newest
}

const (
	slotOffset  = 1<<47 - 1 // as much as a process can map
	slotDeleted = 1 << 47   // the record is a tombstone
	slotTag     = 0xffff << 48
)

// newestAt reads all records up to revision at.
func (db *DB) newestAt(ctx context.Context, at int64) (*newest, error) {
	if at != db.revision {
		return db.findNewest(ctx, at)
	}
	db.newest.Lock()
	defer db.newest.Unlock()
	if db.newest.table != nil {
		return db.newest.table, nil
	}
	n, err := db.findNewest(ctx, at)
	if err == nil {
		db.newest.table = n
	}
	return n, err
}

func (db *DB) findNewest(ctx context.Context, at int64) (*newest, error) {
	l := &db.usage.leaves
	// Two thirds full at most, however many keys the records have.
	n := &newest{data: db.region.bytes(), seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, l.records+l.records/2+1)}
	err := inParts(l.parts(), db.region.guarded, func(part int) error {
		b := batch{newest: n}
		err := db.eachRecord(ctx, l.part(part), func(r stored) (bool, error) {
			rev, err := parseRevision(r.key)
			if err != nil {
				return false, damaged("%v", err)
			}
			if rev.main > at {
				return true, nil
			}
			name, err := decodeKey(r.value)
			if err != nil {
				return false, recordError(r.key, err)
			}
			if len(name) == 0 {
				return false, n.enterNameless(r)
			}
			return false, b.put(r, name)
		})
		return cmp.Or(err, b.flush())
	})
	return n, err
}

// batch collects records, whose slots are fetched together; see fetch.
type batch struct {
	*newest
	n     int
	items [64]struct {
		stored
		name      []byte
		slot, tag uint64
	}
}

func (b *batch) put(r stored, name []byte) error {
	i := &b.items[b.n]
	i.stored, i.name = r, name
	i.slot, i.tag = b.slot(name)
	if b.n++; b.n < len(b.items) {
		return nil
	}
	return b.flush()
}

func (b *batch) flush() error {
	items := b.items[:b.n]
	b.n = 0
	var sum uint64
	for i := range items {
		sum ^= b.slots[items[i].slot].Load()
	}
	runtime.KeepAlive(sum)
	for i := range items {
		if err := b.enter(items[i].stored, items[i].name, items[i].slot, items[i].tag); err != nil {
			return err
		}
	}
	return nil
}

func (n *newest) slot(name []byte) (slot, tag uint64) {
	hash := maphash.Bytes(n.seed, name)
	slot, _ = bits.Mul64(hash, uint64(len(n.slots)))
	return slot, hash << 48
}

// enter enters a record, unless a newer one of its key is there.
func (n *newest) enter(r stored, name []byte, slot, tag uint64) error {
	own := tag | valueOf(r)
	for range n.slots {
		have := n.slots[slot].Load()
		for have == 0 || have&slotTag == tag {
			if have != 0 {
				other, err := storedAt(n.data, int64(have&slotOffset))
				if err != nil {
					return err
				}
				if key, err := decodeKey(other.value); err != nil || !bytes.Equal(key, name) {
					break
				}
				if bytes.Compare(other.key, r.key) > 0 {
					return nil
				}
			}
			if n.slots[slot].CompareAndSwap(have, own) {
				return nil
			}
			have = n.slots[slot].Load()
		}
		if slot++; slot == uint64(len(n.slots)) {
			slot = 0
		}
	}
	return errChanged() // there are more records than there were
}

func (n *newest) enterNameless(r stored) error {
	for {
		have := n.nameless.Load()
		if have != 0 {
			other, err := storedAt(n.data, int64(have&slotOffset))
			if err != nil || bytes.Compare(other.key, r.key) > 0 {
				return err
			}
		}
		if n.nameless.CompareAndSwap(have, valueOf(r)) {
			return nil
		}
	}
}

// valueOf is what a slot holds besides the tag.
func valueOf(r stored) uint64 {
	if len(r.key) == tombstoneSize {
		return uint64(r.at) | slotDeleted
	}
	return uint64(r.at)
}

// is reports whether the record is the newest of its key.
func (n *newest) is(r stored, name []byte) bool {
	if len(name) == 0 {
		return int64(n.nameless.Load()&slotOffset) == r.at
	}
	slot, tag := n.slot(name)
	for range n.slots {
		switch have := n.slots[slot].Load(); {
		case have == 0:
			return false
		case have&slotTag == tag && int64(have&slotOffset) == r.at:
			return true
		}
		if slot++; slot == uint64(len(n.slots)) {
			slot = 0
		}
	}
	return false
}

// alive counts the keys whose newest record is not a tombstone.
func (n *newest) alive() (keys int64) {
	for i := range n.slots {
		if isAlive(n.slots[i].Load()) {
			keys++
		}
	}
	return keys
}

func isAlive(slot uint64) bool { return slot != 0 && slot&slotDeleted == 0 }
