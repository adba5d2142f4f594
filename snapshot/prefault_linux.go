package snapshot

import (
	"context"
	"slices"

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
	const step = 64 << 20
	for part := range slices.Chunk(data, step) {
		if ctx.Err() != nil || unix.Madvise(part, unix.MADV_POPULATE_READ) != nil {
			return
		}
	}
}
