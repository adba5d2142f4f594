package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

// structure is the page graph below one meta page.
type structure struct {
	meta
	ctx  context.Context
	data []byte // all pages of the database
	seen []uint64
	used int64 // pages visited
}

// page is a page and its overflow pages.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // from the header to the end of the last overflow page
}

// usage is what a sound page graph takes of the file.
type usage struct {
	pages    int64 // in use: the two meta pages, the trees and the freelist
	freelist error // what is wrong with the freelist, nil for nothing
}

// checkStructure visits every page that the meta page leads to.
//
// It reads page headers, element headers and keys, no values, and makes sure
// that bbolt's reader, which trusts them, stays within the file and comes to
// an end: page ids, kinds, counts and bounds are right, no page is reached
// twice, no branch is empty, and keys ascend throughout (the rules of bbolt
// tx_check.go). In bucket "key" every key has to be a revision. The first
// fault found is returned as a DamagedError.
func checkStructure(ctx context.Context, data []byte, m meta) (usage, error) {
	s := &structure{meta: m, ctx: ctx, data: data, seen: make([]uint64, (m.pages+63)/64)}
	if err := s.walk(m.root, nil, nil, s.rootElement, 0); err != nil {
		return usage{}, err
	}
	err := s.checkFreelist()
	if err != nil && !errors.Is(err, ErrDamaged) {
		return usage{}, err
	}
	return usage{pages: 2 + s.used, freelist: err}, nil
}

// element takes a leaf element of a bucket.
type element func(p page, flags uint32, key, value []byte) error

// walk visits the tree below page id, whose keys are at least low and less
// than high; nil stands for no bound.
func (s *structure) walk(id uint64, low, high []byte, each element, depth int) error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	if depth > maxDepth {
		return damaged("more than %d levels of pages above page %d", maxDepth, id)
	}
	p, err := s.visit(id)
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
		if p.count == 0 {
			return s.damage(id, "branch page without children")
		}
		return s.branch(p, low, high, each, depth)
	}
	return s.damage(id, "page of kind %#x where a branch or leaf page has to be", p.flags)
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
		if s.seen[n/64]&(1<<(n%64)) != 0 {
			return page{}, s.damage(n, "page is used twice")
		}
		s.seen[n/64] |= 1 << (n % 64)
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

func (s *structure) branch(p page, low, high []byte, each element, depth int) error {
	key, child, err := s.branchElement(p, 0)
	if err != nil {
		return err
	}
	if low != nil && bytes.Compare(key, low) < 0 {
		return s.damage(p.id, "first key %q is less than the parent page's", clip(key))
	}
	for i := range p.count {
		next, nextChild := high, uint64(0)
		if i+1 < p.count {
			if next, nextChild, err = s.branchElement(p, i+1); err != nil {
				return err
			}
		}
		if next != nil && bytes.Compare(key, next) >= 0 {
			return s.damage(p.id, "element %d: key %q is not less than what follows it", i, clip(key))
		}
		if err := s.walk(child, key, next, each, depth+1); err != nil {
			return err
		}
		key, child = next, nextChild
	}
	return nil
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
	if string(key) == keyBucket {
		each = s.revisionElement
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return s.walk(root, nil, nil, each, 0)
	}
	inline := value[bucketHeaderSize:]
	if len(inline) < pageHeaderSize {
		return s.damage(p.id, "bucket %q: inline page of %d bytes", clip(key), len(inline))
	}
	q := parsePage(p.id, inline)
	if q.flags != leafFlag {
		return s.damage(p.id, "bucket %q: inline page of kind %#x", clip(key), q.flags)
	}
	return s.leaf(q, nil, nil, each)
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
	if _, err := parseRevision(key); err != nil {
		return s.damage(p.id, "%v", err)
	}
	return s.plainElement(p, flags, key, value)
}

func (s *structure) damage(id uint64, format string, args ...any) *DamagedError {
	return &DamagedError{Page: int64(id), Offset: int64(id) * s.pageSize, What: fmt.Sprintf(format, args...)}
}
