package snapshot

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"
)

// region is a part of the address space that a file is mapped to.
type region struct {
	start    uintptr
	size     int64
	pageSize int64 // of the database, to name the page
}

// guarded runs fn and turns a fault within the region into a DamagedError.
//
// Reading mapped memory raises SIGBUS when the file was cut short meanwhile or
// when the disk cannot deliver the block; without this the process would end.
// bbolt's own assertions become errors too: they can only fail when the file
// changed after its structure was checked. Every other panic is a bug and
// passes.
func (r region) guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			offset := int64(cause.Addr() - r.start)
			if cause.Addr() < r.start || offset >= r.size {
				panic(cause)
			}
			err = &DamagedError{
				Page: offset / r.pageSize, Offset: offset,
				What: "the file ended or its disk failed while it was read",
			}
		case string:
			if !strings.HasPrefix(cause, "assertion failed") && !strings.HasPrefix(cause, "invalid page type") {
				panic(cause)
			}
			err = damaged("the file changed while it was read: %s", cause)
		default:
			panic(cause)
		}
	}()
	return fn()
}

// mapping is a file mapped for reading.
type mapping struct {
	data []byte
}

// mapFile maps the first size bytes of f. They have to be there.
func mapFile(f *os.File, size int64) (*mapping, error) {
	if int64(int(size)) != size {
		return nil, fmt.Errorf("mapping %d bytes: more than this machine can address", size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	return &mapping{data: data}, nil
}

func (m *mapping) region(pageSize int64) region {
	return region{
		start: uintptr(unsafe.Pointer(unsafe.SliceData(m.data))),
		size:  int64(len(m.data)), pageSize: pageSize,
	}
}

func (m *mapping) close() error { return syscall.Munmap(m.data) }
