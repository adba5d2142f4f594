package archive

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
)

// holes writes a file that was packed with holes: what is zero is passed over.
// The caller sets the file's length at the end.
type holes struct {
	file *os.File
	at   int64
}

var zeroBlock [4096]byte

func (h *holes) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		part := p[:min(len(p), len(zeroBlock)-int(h.at%int64(len(zeroBlock))))]
		if !bytes.Equal(part, zeroBlock[:len(part)]) {
			if n, err := h.file.WriteAt(part, h.at); err != nil {
				return written + n, err
			}
		}
		h.at += int64(len(part))
		written += len(part)
		p = p[len(part):]
	}
	return written, nil
}

var _ io.Writer = (*holes)(nil)

// room makes sure that an entry fits before its first byte is written. What has
// holes takes less than it says, and is not judged.
func (u *unpacker) room(entry *Entry) error {
	if entry.Sparse || entry.Size < 1<<20 {
		return nil
	}
	if free, ok := freeSpace(u.root.Name()); ok && entry.Size > free {
		return fmt.Errorf("it takes %d bytes, and %d are free: %w", entry.Size, free, syscall.ENOSPC)
	}
	return nil
}
