package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
)

// leaves are the leaf pages of bucket "key" in the order of their records, found
// while the structure was checked: with them a pass needs no way through the
// branch pages, and several goroutines can each take a part.
type leaves struct {
	at                  []int64 // where each page starts, in bytes from the first page
	records, tombstones int64
}

// add takes note of a record. An inline bucket's page has its place, too: in
// the page that its bucket is an element of.
func (l *leaves) add(data []byte, p page, rev revision) {
	if at := int64(cap(data) - cap(p.data)); len(l.at) == 0 || l.at[len(l.at)-1] != at {
		l.at = append(l.at, at)
	}
	l.records++
	if rev.tombstone {
		l.tombstones++
	}
}

func (l *leaves) append(more leaves) {
	l.at = append(l.at, more.at...)
	l.records += more.records
	l.tombstones += more.tombstones
}

// leavesPerPart is some megabytes.
const leavesPerPart = 1024

// parts counts the parts of a pass over all leaves.
func (l *leaves) parts() int { return (len(l.at) + leavesPerPart - 1) / leavesPerPart }

// part returns the pages of the i-th part.
func (l *leaves) part(i int) []int64 {
	return l.at[i*leavesPerPart:][:min(leavesPerPart, len(l.at)-i*leavesPerPart)]
}

// stored is a record where it stands.
type stored struct {
	at         int64 // of its element, in bytes from the first page
	key, value []byte
}

// errChanged: what was checked when the file was opened is not so any more.
func errChanged() error { return damaged("the file changed while it was read") }

// eachRecord goes through leaf pages in order, until do says stop.
func (db *DB) eachRecord(ctx context.Context, pages []int64, do func(stored) (stop bool, err error)) error {
	records := db.recordsOf(ctx, pages)
	for {
		r, err := records.next()
		if err != nil || r.key == nil {
			return err
		}
		if stop, err := do(r); err != nil || stop {
			return err
		}
	}
}

// recordReader hands out the records of leaf pages, one by one.
type recordReader struct {
	ctx      context.Context
	data     []byte
	pageSize int64
	pages    []int64

	begun   int   // pages
	element int64 // the one to read next
	left    int   // in its page
}

func (db *DB) recordsOf(ctx context.Context, pages []int64) *recordReader {
	return &recordReader{ctx: ctx, data: db.region.bytes(), pageSize: db.meta.pageSize, pages: pages}
}

// next returns a record without a key at the end.
func (r *recordReader) next() (stored, error) {
	for r.left == 0 {
		if r.begun == len(r.pages) {
			return stored{}, nil
		}
		if err := context.Cause(r.ctx); err != nil {
			return stored{}, err
		}
		if r.begun%fetchPages == 0 {
			fetch(r.data, r.pages[r.begun:min(r.begun+fetchPages, len(r.pages))])
		}
		at := r.pages[r.begun]
		r.left = int(binary.NativeEndian.Uint16(r.data[at+10:]))
		r.element = at + pageHeaderSize
		r.begun++
	}
	s, err := storedAt(r.data, r.element)
	r.element += elementSize
	r.left--
	return s, err
}

// skipSamePage passes over a page that both are about to begin, if it has the
// same bytes in the same place: most of a copy, which is compared at the speed of
// the memory by it.
func (r *recordReader) skipSamePage(other *recordReader) bool {
	if r.left > 0 || other.left > 0 || r.begun == len(r.pages) || other.begun == len(other.pages) {
		return false
	}
	at := r.pages[r.begun]
	if at != other.pages[other.begun] || at%r.pageSize != 0 || r.pageSize != other.pageSize {
		return false
	}
	end := at + (1+int64(binary.NativeEndian.Uint32(r.data[at+12:])))*r.pageSize
	if end > int64(min(len(r.data), len(other.data))) || !bytes.Equal(r.data[at:end], other.data[at:end]) {
		return false
	}
	r.begun++
	other.begun++
	return true
}

// fetchPages is how many leaf pages are fetched at once: their records' beginnings
// fit the smallest caches.
const fetchPages = 64

// fetch reads a byte of each cache line that a pass over these leaf pages will
// ask for. Reads that do not depend on each other go to the memory side by side;
// a pass by itself waits for each, which is most of what it does.
//
//go:noinline
func fetch(data []byte, pages []int64) {
	const cacheLine = 64
	var sum byte
	for _, at := range pages {
		sum ^= data[at]
	}
	for _, at := range pages {
		count := int64(binary.NativeEndian.Uint16(data[at+10:]))
		for element := at + pageHeaderSize; count > 0 && element+elementSize <= int64(len(data)); count, element = count-1, element+elementSize {
			key := element + int64(binary.NativeEndian.Uint32(data[element+4:]))
			if key+cacheLine >= int64(len(data)) {
				break
			}
			sum ^= data[key] ^ data[key+cacheLine]
		}
	}
	runtime.KeepAlive(sum)
}

// storedAt reads the element at an offset.
func storedAt(data []byte, at int64) (stored, error) {
	if at+elementSize > int64(len(data)) {
		return stored{}, errChanged()
	}
	rest := data[at:]
	pos := uint64(binary.NativeEndian.Uint32(rest[4:]))
	keySize, valueSize := uint64(binary.NativeEndian.Uint32(rest[8:])), uint64(binary.NativeEndian.Uint32(rest[12:]))
	end := pos + keySize + valueSize
	if end > uint64(len(rest)) || keySize < revisionSize || keySize > tombstoneSize {
		return stored{}, errChanged()
	}
	return stored{at: at, key: rest[pos:][:keySize], value: rest[pos+keySize : end]}, nil
}
