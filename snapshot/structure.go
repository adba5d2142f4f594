package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Kinds of pages and elements, see meta.go for the page header.
//
//	branch element  pos u32 · ksize u32 · child u64
//	leaf element    flags u32 · pos u32 · ksize u32 · vsize u32
//	bucket          root u64 · sequence u64 [ · a whole leaf page, when root is 0 ]
//
// The elements follow the header; pos counts from the element itself to its
// key, the value follows the key.
const (
	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10

	elementSize      = 16
	bucketFlag       = 0x01
	bucketHeaderSize = 16

	maxKeySize = 32768 // bbolt bucket.go MaxKeySize
	maxDepth   = 64    // a tree of two children per page cannot be as deep in a file
)

// keyBucket holds the keyspace; its keys are revisions.
const keyBucket = "key"

// structure is the page graph below one meta page, or the part of it that one
// goroutine walks.
type structure struct {
	meta
	ctx  context.Context
	data []byte          // all pages of the database
	seen []atomic.Uint64 // a bit per page, shared by all parts

	used   int64 // pages visited
	leaves leaves
	split  func(root uint64) error // walks bucket "key" in parts; nil for in one
}

// page is a page and its overflow pages.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // from the header to the end of the last overflow page
}

// usage is what a sound page graph takes of the file, and where its records are.
type usage struct {
	pages    int64 // in use: the two meta pages, the trees and the freelist
	freelist error // what is wrong with the freelist, nil for nothing
	leaves   leaves
}

// checkStructure visits every page that the meta page leads to.
//
// It reads page headers, element headers and keys, no values, and makes sure
// that bbolt's reader, which trusts them, stays within the file and comes to
// an end: page ids, kinds, counts and bounds are right, no page is reached
// twice, no branch is empty, and keys ascend throughout (the rules of bbolt
// tx_check.go). In bucket "key" every key has to be a revision. The first
// fault found is returned as a DamagedError.
//
// Bucket "key" is walked on all cores. What they refuse is walked once more, in
// order: the same file then always shows the same fault.
func checkStructure(ctx context.Context, data []byte, m meta, guard guard) (usage, error) {
	s := newStructure(ctx, data, m)
	s.split = func(root uint64) error { return s.walkKeys(root, guard) }
	err := s.walk(m.root, nil, nil, s.rootElement, 0)
	if err != nil {
		s = newStructure(ctx, data, m)
		err = s.walk(m.root, nil, nil, s.rootElement, 0)
	}
	if err != nil {
		return usage{}, err
	}
	err = s.checkFreelist()
	if err != nil && !errors.Is(err, ErrDamaged) {
		return usage{}, err
	}
	return usage{pages: 2 + s.used, freelist: err, leaves: s.leaves}, nil
}

func newStructure(ctx context.Context, data []byte, m meta) *structure {
	return &structure{meta: m, ctx: ctx, data: data, seen: make([]atomic.Uint64, (m.pages+63)/64)}
}

// element takes a leaf element of a bucket.
type element func(p page, flags uint32, key, value []byte) error

// walk visits the tree below page id, whose keys are at least low and less
// than high; nil stands for no bound.
func (s *structure) walk(id uint64, low, high []byte, each element, depth int) error {
	p, err := s.enter(id, depth)
	if err != nil {
		return err
	}
	switch p.flags {
	case leafFlag:
		if p.count == 0 && depth > 0 {
			return s.damage(id, "empty leaf page below a branch page")
		}
		return s.leaf(p, low, high, each)
	case branchFlag:
		return s.branch(p, low, high, func(id uint64, low, high []byte) error {
			return s.walk(id, low, high, each, depth+1)
		})
	}
	return s.damage(id, "page of kind %#x where a branch or leaf page has to be", p.flags)
}

// enter returns the page of a tree that stands depth levels below its root.
func (s *structure) enter(id uint64, depth int) (page, error) {
	if err := context.Cause(s.ctx); err != nil {
		return page{}, err
	}
	if depth > maxDepth {
		return page{}, damaged("more than %d levels of pages above page %d", maxDepth, id)
	}
	p, err := s.visit(id)
	if err == nil && p.flags == branchFlag && p.count == 0 {
		err = s.damage(id, "branch page without children")
	}
	return p, err
}

// visit returns page id, once.
func (s *structure) visit(id uint64) (page, error) {
	if id < 2 || id >= s.pages {
		return page{}, damaged("the tree leads to page %d, but its pages are 2 to %d", id, s.pages-1)
	}
	start := int64(id) * s.pageSize
	header := s.data[start:][:pageHeaderSize]
	if own := binary.NativeEndian.Uint64(header); own != id {
		return page{}, s.damage(id, "page says that it is page %d", own)
	}
	overflow := uint64(binary.NativeEndian.Uint32(header[12:]))
	if overflow >= s.pages-id {
		return page{}, s.damage(id, "%d overflow pages reach beyond the last page %d", overflow, s.pages-1)
	}
	for n := id; n <= id+overflow; n++ {
		if bit := uint64(1) << (n % 64); s.seen[n/64].Or(bit)&bit != 0 {
			return page{}, s.damage(n, "page is used twice")
		}
	}
	s.used += int64(overflow) + 1
	return parsePage(id, s.data[start:start+int64(overflow+1)*s.pageSize]), nil
}

func parsePage(id uint64, data []byte) page {
	return page{
		id:    id,
		flags: binary.NativeEndian.Uint16(data[8:]),
		count: int(binary.NativeEndian.Uint16(data[10:])),
		data:  data,
	}
}

// branch hands the children of a branch page to child, with the bounds of their
// keys.
func (s *structure) branch(p page, low, high []byte, child func(id uint64, low, high []byte) error) error {
	s.fetchChildren(p)
	key, id, err := s.branchElement(p, 0)
	if err != nil {
		return err
	}
	if low != nil && bytes.Compare(key, low) < 0 {
		return s.damage(p.id, "first key %q is less than the parent page's", clip(key))
	}
	for i := range p.count {
		next, nextID := high, uint64(0)
		if i+1 < p.count {
			if next, nextID, err = s.branchElement(p, i+1); err != nil {
				return err
			}
		}
		if next != nil && bytes.Compare(key, next) >= 0 {
			return s.damage(p.id, "element %d: key %q is not less than what follows it", i, clip(key))
		}
		if err := child(id, key, next); err != nil {
			return err
		}
		key, id = next, nextID
	}
	return nil
}

// fetchChildren fetches the beginnings of the pages below a branch page.
func (s *structure) fetchChildren(p page) {
	var children []int64
	for i := range p.count {
		e, _, err := s.elementAt(p, i)
		if err != nil {
			break
		}
		if id := binary.NativeEndian.Uint64(e[8:]); id < s.pages {
			children = append(children, int64(id)*s.pageSize)
		}
	}
	for batch := range slices.Chunk(children, fetchPages) {
		fetch(s.data, batch)
	}
}

func (s *structure) branchElement(p page, i int) (key []byte, child uint64, err error) {
	e, rest, err := s.elementAt(p, i)
	if err != nil {
		return nil, 0, err
	}
	pos, size := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:])
	key, _, err = s.keyValue(p, i, rest, pos, size, 0)
	return key, binary.NativeEndian.Uint64(e[8:]), err
}

func (s *structure) leaf(p page, low, high []byte, each element) error {
	strict := false
	for i := range p.count {
		e, rest, err := s.elementAt(p, i)
		if err != nil {
			return err
		}
		flags, pos := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:])
		keySize, valueSize := binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		key, value, err := s.keyValue(p, i, rest, pos, keySize, valueSize)
		if err != nil {
			return err
		}
		if order := bytes.Compare(key, low); order < 0 || strict && order == 0 {
			return s.damage(p.id, "element %d: key %q is not greater than what precedes it", i, clip(key))
		}
		if err := each(p, flags, key, value); err != nil {
			return err
		}
		low, strict = key, true
	}
	if high != nil && strict && bytes.Compare(low, high) >= 0 {
		return s.damage(p.id, "last key %q is not less than what follows the page", clip(low))
	}
	return nil
}

// elementAt returns the i-th element header, and the page from there on.
func (s *structure) elementAt(p page, i int) (e, rest []byte, err error) {
	start := pageHeaderSize + i*elementSize
	if start+elementSize > len(p.data) {
		return nil, nil, s.damage(p.id, "%d elements do not fit in the page", p.count)
	}
	return p.data[start:][:elementSize], p.data[start:], nil
}

// keyValue returns the key and value of element i; rest starts at the element.
func (s *structure) keyValue(p page, i int, rest []byte, pos, keySize, valueSize uint32) (key, value []byte, err error) {
	elements := uint32(p.count-i) * elementSize
	end := uint64(pos) + uint64(keySize) + uint64(valueSize)
	switch {
	case pos < elements || end > uint64(len(rest)):
		return nil, nil, s.damage(p.id, "element %d: %d bytes at %d lie outside of the page", i, uint64(keySize)+uint64(valueSize), pos)
	case keySize == 0 || keySize > maxKeySize:
		return nil, nil, s.damage(p.id, "element %d: key of %d bytes", i, keySize)
	}
	return rest[pos:][:keySize], rest[pos+keySize:][:valueSize], nil
}

// rootElement takes an element of the root bucket: a bucket, on pages of its
// own or inline in the value.
func (s *structure) rootElement(p page, flags uint32, key, value []byte) error {
	if flags != bucketFlag {
		return s.damage(p.id, "element %q of the root bucket is no bucket", clip(key))
	}
	if len(value) < bucketHeaderSize {
		return s.damage(p.id, "bucket %q: header of %d bytes", clip(key), len(value))
	}
	each := s.plainElement
	keys := string(key) == keyBucket
	if keys {
		each = s.revisionElement
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		if keys && s.split != nil {
			return s.split(root)
		}
		return s.walk(root, nil, nil, each, 0)
	}
	q, err := s.inline(p, key, value)
	if err != nil {
		return err
	}
	return s.leaf(q, nil, nil, each)
}

// inline is the page of a small bucket, which stands in its element's value.
func (s *structure) inline(p page, key, value []byte) (page, error) {
	inline := value[bucketHeaderSize:]
	if len(inline) < pageHeaderSize {
		return page{}, s.damage(p.id, "bucket %q: inline page of %d bytes", clip(key), len(inline))
	}
	q := parsePage(p.id, inline)
	if q.flags != leafFlag {
		return page{}, s.damage(p.id, "bucket %q: inline page of kind %#x", clip(key), q.flags)
	}
	return q, nil
}

// plainElement takes a key and value; etcd nests no buckets.
func (s *structure) plainElement(p page, flags uint32, key, _ []byte) error {
	if flags != 0 {
		return s.damage(p.id, "element %q has flags %#x", clip(key), flags)
	}
	return nil
}

// revisionElement takes a record of bucket "key".
func (s *structure) revisionElement(p page, flags uint32, key, value []byte) error {
	rev, err := parseRevision(key)
	if err != nil {
		return s.damage(p.id, "%v", err)
	}
	s.leaves.add(s.data, p, rev)
	return s.plainElement(p, flags, key, value)
}

func (s *structure) damage(id uint64, format string, args ...any) *DamagedError {
	return &DamagedError{Page: int64(id), Offset: int64(id) * s.pageSize, What: fmt.Sprintf(format, args...)}
}
