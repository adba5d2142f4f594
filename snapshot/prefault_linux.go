package snapshot

import (
	"context"

	"golang.org/x/sys/unix"
)

// prefault brings a mapped file into the page table in large steps. One fault
// for every few pages costs more than reading them. A file that does not fit
// the free memory is left to the kernel's read-ahead, which bbolt switches off
// for its own random access.
//
// It is a matter of speed alone: whatever fails here shows, and is handled,
// when the pages are read.
func prefault(ctx context.Context, data []byte) {
	if unix.Madvise(data, unix.MADV_NORMAL) != nil || freeMemory() < int64(len(data)) {
		return
	}
	const step = 16 << 20
	parts := (len(data) + step - 1) / step
	_ = inParts(parts, func(do func() error) error { return do() }, func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return unix.Madvise(data[i*step:min((i+1)*step, len(data))], unix.MADV_POPULATE_READ)
	})
}
