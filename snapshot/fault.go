package snapshot

import (
	"runtime/debug"
	"strings"
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

// bytes is the region's memory.
func (r region) bytes() []byte {
	// Not of Go's heap, so that the rules about uintptr do not apply to it.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&r.start)), r.size)
}
