package datadir

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"

	bolt "go.etcd.io/bbolt"
)

// The file format of bbolt (internal/common: page.go, meta.go, bucket.go). All
// numbers are in the byte order of the machine.
const (
	pageHeader  = 16 // id uint64, kind, count uint16, overflow uint32
	elementSize = 16 // leaf: flags, position, key size, value size uint32; branch: position, key size uint32, page uint64

	branchPage, leafPage, metaPage = 0x01, 0x02, 0x04
	isBucket                       = 0x01 // flag of an element: its value is a root page and a sequence number

	metaMagic, metaVersion = 0xED0CDAED, 2
	noFreelist             = math.MaxUint64 // whoever opens the file finds the free pages himself, as etcd does
)

// rewrite writes the buckets of src to an empty file, each page once, full and in
// the order of the keys. bbolt's own way, by transactions of puts, splits nodes
// and seeks; etcd's defragmentation takes it, and leaves a tenth of each page free
// for random writes that bucket "key" never sees. No page is free afterwards.
func rewrite(out *os.File, src *bolt.Tx) error {
	w := &pageWriter{size: src.DB().Info().PageSize, next: 2} // behind the two meta pages
	if _, err := out.Seek(int64(w.next)*int64(w.size), io.SeekStart); err != nil {
		return err
	}
	w.out = bufio.NewWriterSize(out, 1<<20)
	root := level{w: w, kind: leafPage}
	err := src.ForEach(func(name []byte, b *bolt.Bucket) error {
		page, err := w.bucket(name, b)
		if err != nil {
			return err
		}
		value := binary.NativeEndian.AppendUint64(nil, page)
		return root.add(element{key: name, value: binary.NativeEndian.AppendUint64(value, b.Sequence()), flags: isBucket})
	})
	if err != nil {
		return err
	}
	page, err := root.tree()
	if err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	for id := range uint64(2) {
		if _, err := out.WriteAt(w.meta(id, page), int64(id)*int64(w.size)); err != nil {
			return err
		}
	}
	return nil
}

// pageWriter writes pages one behind the other.
type pageWriter struct {
	out  *bufio.Writer
	size int    // of a page
	next uint64 // page to be written
	page []byte // the one that is made
}

func (w *pageWriter) bucket(name []byte, b *bolt.Bucket) (root uint64, err error) {
	leaves := level{w: w, kind: leafPage}
	err = b.ForEach(func(key, value []byte) error {
		if value == nil {
			return fmt.Errorf("bucket %q in bucket %q", key, name)
		}
		return leaves.add(element{key: key, value: value})
	})
	if err != nil {
		return 0, err
	}
	return leaves.tree()
}

// meta is one of the two meta pages. Both tell of the same tree; bbolt takes the
// one of the higher transaction.
func (w *pageWriter) meta(id, root uint64) []byte {
	order := binary.NativeEndian
	page := w.header(id, metaPage, 0, 0)
	page = order.AppendUint32(page, metaMagic)
	page = order.AppendUint32(page, metaVersion)
	page = order.AppendUint32(page, uint32(w.size))
	page = order.AppendUint32(page, 0)
	for _, n := range []uint64{root, 0, noFreelist, w.next, id} {
		page = order.AppendUint64(page, n)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(page[pageHeader:])
	page = order.AppendUint64(page, sum.Sum64())
	return append(page, make([]byte, w.size-len(page))...)
}

// header begins a page.
func (w *pageWriter) header(id uint64, kind, count, overflow int) []byte {
	order := binary.NativeEndian
	page := order.AppendUint64(w.page[:0], id)
	page = order.AppendUint16(page, uint16(kind))
	page = order.AppendUint16(page, uint16(count))
	return order.AppendUint32(page, uint32(overflow))
}

// write makes a page of elements, and its overflow where one alone is larger.
func (w *pageWriter) write(kind int, elements []element) (id uint64, err error) {
	length := pageHeader
	for _, e := range elements {
		length += e.size()
	}
	pages := max(1, (length+w.size-1)/w.size)
	id = w.next
	page := w.header(id, kind, len(elements), pages-1)
	order := binary.NativeEndian
	position := len(elements) * elementSize // from the element itself
	for _, e := range elements {
		if kind == leafPage {
			page = order.AppendUint32(page, e.flags)
			page = order.AppendUint32(page, uint32(position))
			page = order.AppendUint32(page, uint32(len(e.key)))
			page = order.AppendUint32(page, uint32(len(e.value)))
		} else {
			page = order.AppendUint32(page, uint32(position))
			page = order.AppendUint32(page, uint32(len(e.key)))
			page = order.AppendUint64(page, e.page)
		}
		position += e.size() - 2*elementSize
	}
	for _, e := range elements {
		page = append(append(page, e.key...), e.value...)
	}
	page = append(page, make([]byte, pages*w.size-len(page))...)
	w.page = page
	w.next += uint64(pages)
	_, err = w.out.Write(page)
	return id, err
}

// element is a key with its value or, in a branch page, with the page below that
// begins with it.
type element struct {
	key, value []byte
	flags      uint32
	page       uint64
}

func (e element) size() int { return elementSize + len(e.key) + len(e.value) }

// level is the pages of one level of a tree, from left to right. A group of
// elements is written when the next one is full, so that the last can take one
// over: no branch page has one child, else a tree of long keys had no end.
type level struct {
	w     *pageWriter
	kind  int
	held  []element
	group []element
	size  int       // of the group
	above []element // for each page that was written
}

func (l *level) add(e element) error {
	least := 1
	if l.kind == branchPage {
		least = 2
	}
	if len(l.group) >= least && pageHeader+l.size+e.size() > l.w.size {
		if err := l.write(l.held); err != nil {
			return err
		}
		l.held, l.group, l.size = l.group, l.held[:0], 0
	}
	l.group = append(l.group, e)
	l.size += e.size()
	return nil
}

func (l *level) write(group []element) error {
	if len(group) == 0 {
		return nil
	}
	page, err := l.w.write(l.kind, group)
	l.above = append(l.above, element{key: group[0].key, page: page})
	return err
}

// tree ends the level and writes those above it. It gives the root's page.
func (l *level) tree() (uint64, error) {
	if n := len(l.held); l.kind == branchPage && n > 0 && len(l.group) == 1 {
		last := l.group[0]
		if n == 2 {
			l.held, l.group = append(l.held, last), nil
		} else {
			l.held, l.group = l.held[:n-1], []element{l.held[n-1], last}
		}
	}
	for _, group := range [][]element{l.held, l.group} {
		if err := l.write(group); err != nil {
			return 0, err
		}
	}
	switch len(l.above) {
	case 0:
		return l.w.write(l.kind, nil)
	case 1:
		return l.above[0].page, nil
	}
	next := level{w: l.w, kind: branchPage}
	for _, e := range l.above {
		if err := next.add(e); err != nil {
			return 0, err
		}
	}
	return next.tree()
}
