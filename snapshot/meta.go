package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of bbolt's pages (bbolt internal/common/page.go, meta.go). Numbers
// stand in the byte order of the machine that wrote them, as bbolt reads them.
//
//	page    id u64 · flags u16 · count u16 · overflow u32 · body
//	meta    magic u32 · version u32 · pageSize u32 · flags u32 · root u64 ·
//	        sequence u64 · freelist u64 · pages u64 · txid u64 · fnv-1a u64
const (
	pageHeaderSize = 16
	metaSize       = 64
	metaMagic      = 0xED0CDAED
	metaVersion    = 2
	noFreelist     = ^uint64(0)

	minPageSize = 1 << 10 // bbolt looks for the second meta page at 1 KiB to 16 MiB
	maxPageSize = 1 << 24
)

// meta is a meta page: the root of one state of the database. Two alternate,
// so that one is whole at any time.
type meta struct {
	pageSize int64
	root     uint64 // page of the bucket of buckets
	freelist uint64 // page, or noFreelist
	pages    uint64 // high water mark: pages that the database may use
	txid     uint64

	other error // what is wrong with the other meta page, nil for nothing
}

// parseMeta reads the meta page that starts at buf[0].
func parseMeta(buf []byte) (meta, error) {
	if len(buf) < pageHeaderSize+metaSize {
		return meta{}, io.ErrUnexpectedEOF
	}
	b := buf[pageHeaderSize : pageHeaderSize+metaSize]
	if magic := binary.NativeEndian.Uint32(b); magic != metaMagic {
		return meta{}, fmt.Errorf("magic %08x, want %08x: %w", magic, uint32(metaMagic), ErrNotDatabase)
	}
	if version := binary.NativeEndian.Uint32(b[4:]); version != metaVersion {
		return meta{}, fmt.Errorf("format version %d, want %d", version, metaVersion)
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	if want := binary.NativeEndian.Uint64(b[56:]); sum.Sum64() != want {
		return meta{}, fmt.Errorf("checksum mismatch (stored %016x, computed %016x)", want, sum.Sum64())
	}
	m := meta{
		pageSize: int64(binary.NativeEndian.Uint32(b[8:])),
		root:     binary.NativeEndian.Uint64(b[16:]),
		freelist: binary.NativeEndian.Uint64(b[32:]),
		pages:    binary.NativeEndian.Uint64(b[40:]),
		txid:     binary.NativeEndian.Uint64(b[48:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, fmt.Errorf("page size %d is not a power of two from %d to %d", m.pageSize, minPageSize, maxPageSize)
	}
	return m, nil
}

// readMeta returns the meta page that bbolt will use: the valid one with the
// higher transaction id. It finds the page size as bbolt does (bbolt db.go
// getPageSize), because the second meta page stands one page into the file.
func readMeta(f io.ReaderAt, size int64) (meta, error) {
	m0, err0 := metaAt(f, 0)
	if err0 == nil {
		m1, err1 := metaAt(f, m0.pageSize)
		if err1 == nil && m1.pageSize != m0.pageSize {
			err1 = fmt.Errorf("page size %d, but %d in page 0", m1.pageSize, m0.pageSize)
			if m1.txid > m0.txid {
				return meta{}, &DamagedError{Page: 1, Offset: m0.pageSize, What: err1.Error()}
			}
		}
		if err1 == nil && m1.txid > m0.txid {
			return m1, nil
		}
		m0.other = err1
		return m0, nil
	}
	for pageSize := int64(minPageSize); pageSize <= maxPageSize && pageSize < size; pageSize *= 2 {
		m1, err := metaAt(f, pageSize)
		if err != nil {
			continue
		}
		if m1.pageSize != pageSize {
			return meta{}, &DamagedError{Page: 1, Offset: pageSize, What: fmt.Sprintf("meta page: page size %d, but it stands at offset %d", m1.pageSize, pageSize)}
		}
		m1.other = err0
		return m1, nil
	}
	if errors.Is(err0, ErrNotDatabase) {
		return meta{}, err0
	}
	return meta{}, &DamagedError{Page: 0, Offset: 0, What: "meta page: " + err0.Error() + "; the second meta page is not valid either"}
}

func metaAt(f io.ReaderAt, offset int64) (meta, error) {
	var buf [pageHeaderSize + metaSize]byte
	if _, err := f.ReadAt(buf[:], offset); err != nil {
		if errors.Is(err, io.EOF) {
			return meta{}, fmt.Errorf("the file ends within its first bytes: %w", ErrNotDatabase)
		}
		return meta{}, err
	}
	return parseMeta(buf[:])
}
