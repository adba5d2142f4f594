package snapshottest

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Effect is what a fault does to a reader.
type Effect int

// The effects.
const (
	Damaged     Effect = iota // the page structure shows it
	NotDatabase               // nothing tells that this was a database
	Readable                  // nothing but the sha256 trailer or a second meta page shows it
)

// Fault is one way to damage a database file.
type Fault struct {
	Name   string
	Effect Effect
	damage func(d *disk)
}

// Apply damages the file at path, a database from Generate of at least 500
// keys, with or without a trailer.
func (f Fault) Apply(path string) error {
	d, err := readDisk(path)
	if err != nil {
		return fmt.Errorf("damaging %q: %w", path, err)
	}
	f.damage(d)
	return os.WriteFile(path, d.data, 0o600)
}

// disk is a database file in memory, and the offsets of some of its pages.
type disk struct {
	data     []byte
	pageSize int
	pages    int
	root     int // leaf page of the root bucket
	branch   int // lowest branch page on the way to leaf, in bucket "key"
	leaf     int // second child of branch
}

// Offsets in pages and elements, see package snapshot's meta.go and structure.go.
const (
	pageID, pageFlags, pageCount, pageOverflow = 0, 8, 10, 12
	firstElement, elementSize                  = 16, 16
	branchFlag, leafFlag                       = 1, 2
	branchPos, branchKeySize, branchChild      = 0, 4, 8
	leafFlags, leafPos, leafKeySize, leafValue = 0, 4, 8, 12
)

func readDisk(path string) (*disk, error) {
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	d := &disk{pageSize: db.Info().PageSize}
	if err := db.View(func(tx *bolt.Tx) error {
		d.pages = int(tx.Size()) / d.pageSize
		d.branch = int(tx.Bucket([]byte("key")).Root()) * d.pageSize
		return nil
	}); err != nil {
		return nil, err
	}
	if d.data, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	newest := d.pageSize * d.newestMeta()
	d.root = int(binary.NativeEndian.Uint64(d.data[newest+32:])) * d.pageSize
	if d.u16(d.branch+pageFlags) != branchFlag {
		return nil, fmt.Errorf("bucket %q is too small to have a branch page", "key")
	}
	for {
		child := int(binary.NativeEndian.Uint64(d.data[d.element(d.branch, 1)+branchChild:])) * d.pageSize
		if d.u16(child+pageFlags) != branchFlag {
			d.leaf = child
			return d, nil
		}
		d.branch = child
	}
}

func (d *disk) newestMeta() int {
	const txid = 64
	if binary.NativeEndian.Uint64(d.data[d.pageSize+txid:]) > binary.NativeEndian.Uint64(d.data[txid:]) {
		return 1
	}
	return 0
}

func (d *disk) element(page, i int) int { return page + firstElement + i*elementSize }

func (d *disk) u16(at int) uint16      { return binary.NativeEndian.Uint16(d.data[at:]) }
func (d *disk) u32(at int) uint32      { return binary.NativeEndian.Uint32(d.data[at:]) }
func (d *disk) set16(at int, v uint16) { binary.NativeEndian.PutUint16(d.data[at:], v) }
func (d *disk) set32(at int, v uint32) { binary.NativeEndian.PutUint32(d.data[at:], v) }
func (d *disk) set64(at int, v uint64) { binary.NativeEndian.PutUint64(d.data[at:], v) }
func (d *disk) zeroPage(page int)      { clear(d.data[page : page+d.pageSize]) }
func (d *disk) firstKey(page int) int {
	return d.element(page, 0) + int(d.u32(d.element(page, 0)+leafPos))
}
func (d *disk) pageOf(offset int) uint64  { return uint64(offset / d.pageSize) }
func (d *disk) flip(at int)               { d.data[at] ^= 0x10 }
func (d *disk) child(i int, child uint64) { d.set64(d.element(d.branch, i)+branchChild, child) }

// Faults lists every fault, each with what a reader can see of it.
func Faults() []Fault {
	var all []Fault
	all = append(all, fileFaults()...)
	all = append(all, branchFaults()...)
	return append(all, leafFaults()...)
}

func fileFaults() []Fault {
	return []Fault{
		{"file-empty", NotDatabase, func(d *disk) { d.data = nil }},
		{"file-of-help-text", NotDatabase, func(d *disk) { d.data = []byte("NAME:\n\tetcdctl - A simple command line client for etcd3.\n") }},
		{"metas-zeroed", NotDatabase, func(d *disk) { d.zeroPage(0); d.zeroPage(d.pageSize) }},
		{"metas-bit", Damaged, func(d *disk) { d.flip(40); d.flip(d.pageSize + 40) }},
		{"older-meta-bit", Readable, func(d *disk) { d.flip(d.pageSize*(1-d.newestMeta()) + 40) }},
		{"truncated-in-meta", NotDatabase, func(d *disk) { d.data = d.data[:60] }},
		{"truncated-after-metas", Damaged, func(d *disk) { d.data = d.data[:2*d.pageSize] }},
		{"truncated-half", Damaged, func(d *disk) { d.data = d.data[:d.pages/2*d.pageSize] }},
		{"truncated-last-page", Damaged, func(d *disk) { d.data = d.data[:(d.pages-1)*d.pageSize] }},
		{"truncated-one-byte", Damaged, func(d *disk) { d.data = d.data[:d.pages*d.pageSize-1] }},
		{"root-zeroed", Damaged, func(d *disk) { d.zeroPage(d.root) }},
		{"root-flags-bit", Damaged, func(d *disk) { d.flip(d.root + pageFlags) }},
		{"value-bit", Readable, func(d *disk) {
			e := d.element(d.leaf, 0)
			d.flip(d.firstKey(d.leaf) + int(d.u32(e+leafKeySize)+d.u32(e+leafValue)) - 40)
		}},
	}
}

func branchFaults() []Fault {
	return []Fault{
		{"branch-zeroed", Damaged, func(d *disk) { d.zeroPage(d.branch) }},
		{"branch-flags-bit", Damaged, func(d *disk) { d.flip(d.branch + pageFlags) }},
		{"branch-is-leaf", Damaged, func(d *disk) { d.set16(d.branch+pageFlags, leafFlag) }},
		{"branch-wrong-id", Damaged, func(d *disk) { d.set64(d.branch+pageID, 7_000_000) }},
		{"branch-no-children", Damaged, func(d *disk) { d.set16(d.branch+pageCount, 0) }},
		{"branch-count-huge", Damaged, func(d *disk) { d.set16(d.branch+pageCount, 0xffff) }},
		{"branch-overflow-huge", Damaged, func(d *disk) { d.set32(d.branch+pageOverflow, 0xffffffff) }},
		{"branch-cycle", Damaged, func(d *disk) { d.child(0, d.pageOf(d.branch)) }},
		{"branch-child-twice", Damaged, func(d *disk) { d.child(2, d.pageOf(d.leaf)) }},
		{"branch-child-meta", Damaged, func(d *disk) { d.child(1, 0) }},
		{"branch-child-root", Damaged, func(d *disk) { d.child(1, d.pageOf(d.root)) }},
		{"branch-child-beyond-end", Damaged, func(d *disk) { d.child(1, uint64(d.pages)) }},
		{"branch-child-huge", Damaged, func(d *disk) { d.child(1, 1<<63) }},
		{"branch-pos-huge", Damaged, func(d *disk) { d.set32(d.element(d.branch, 1)+branchPos, 0xfffffff0) }},
		{"branch-key-huge", Damaged, func(d *disk) { d.set32(d.element(d.branch, 1)+branchKeySize, 0xffffffff) }},
		{"branch-key-empty", Damaged, func(d *disk) { d.set32(d.element(d.branch, 1)+branchKeySize, 0) }},
		{"branch-order", Damaged, func(d *disk) {
			e := d.element(d.branch, 1)
			d.data[e+int(d.u32(e+branchPos))] = 0x7f // highest byte of the revision
		}},
	}
}

func leafFaults() []Fault {
	return []Fault{
		{"leaf-zeroed", Damaged, func(d *disk) { d.zeroPage(d.leaf) }},
		{"leaf-flags-bit", Damaged, func(d *disk) { d.flip(d.leaf + pageFlags) }},
		{"leaf-is-branch", Damaged, func(d *disk) { d.set16(d.leaf+pageFlags, branchFlag) }},
		{"leaf-wrong-id", Damaged, func(d *disk) { d.flip(d.leaf + pageID) }},
		{"leaf-empty", Damaged, func(d *disk) { d.set16(d.leaf+pageCount, 0) }},
		{"leaf-count-huge", Damaged, func(d *disk) { d.set16(d.leaf+pageCount, 0xffff) }},
		{"leaf-overflow-huge", Damaged, func(d *disk) { d.set32(d.leaf+pageOverflow, 0x7fffffff) }},
		{"leaf-overflow-into-next", Damaged, func(d *disk) { d.set32(d.leaf+pageOverflow, uint32(d.pages)-uint32(d.pageOf(d.leaf))-1) }},
		{"leaf-overflow-one", Damaged, func(d *disk) { d.set32(d.leaf+pageOverflow, 1) }},
		{"leaf-key-twice", Damaged, func(d *disk) {
			second := d.element(d.leaf, 1)
			first := d.firstKey(d.leaf)
			copy(d.data[second+int(d.u32(second+leafPos)):], d.data[first:first+17])
		}},
		{"leaf-pos-huge", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafPos, 0xfffffff0) }},
		{"leaf-pos-in-header", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafPos, 0) }},
		{"leaf-key-huge", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafKeySize, 0xffffffff) }},
		{"leaf-value-huge", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafValue, 0xffffffff) }},
		{"leaf-nested-bucket", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafFlags, 1) }},
		{"leaf-order", Damaged, func(d *disk) { d.data[d.firstKey(d.leaf)] = 0x7f }},
		{"revision-separator", Damaged, func(d *disk) { d.flip(d.firstKey(d.leaf) + 8) }},
		{"revision-short", Damaged, func(d *disk) { d.set32(d.element(d.leaf, 0)+leafKeySize, 16) }},
		{"revision-negative", Damaged, func(d *disk) { d.data[d.firstKey(d.leaf)+9] |= 0x80 }},
	}
}

// MendMeta writes valid checksums into both meta pages, so that a fault in them
// gets past the checksum.
func MendMeta(db []byte, pageSize int) {
	const body, checksum = 16, 72
	for _, page := range []int{0, pageSize} {
		if len(db) < page+checksum+8 {
			return
		}
		sum := fnv.New64a()
		sum.Write(db[page+body : page+checksum])
		binary.NativeEndian.PutUint64(db[page+checksum:], sum.Sum64())
	}
}
