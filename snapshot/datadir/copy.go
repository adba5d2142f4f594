package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// copyStep is how much is copied between two looks at the context, and handed
// to the disk at once.
const copyStep = 8 << 20

// copyTo is copyPages to a new file.
func copyTo(ctx context.Context, path string, from *os.File, size int64) error {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(copyPages(ctx, to, from, size, func(int64) {}), to.Close())
}

// copyPages writes the first size bytes of from to the empty file to. It does
// not sync, but has the disk begin at once: a sync after the last byte would
// find everything still to be written, and beyond a fifth of the memory the
// kernel stops whoever goes on writing. copied is told how far it has come.
func copyPages(ctx context.Context, to, from *os.File, size int64, copied func(upTo int64)) error {
	if err := reserve(to, size); snapshot.IsDiskFull(err) {
		return err
	}
	buf := []byte(nil) // where the kernel does not copy by itself
	for at := int64(0); at < size; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := copyInKernel(to, from, at, min(copyStep, size-at))
		if err != nil {
			if buf == nil {
				buf = make([]byte, 1<<20)
			}
			n, err = copyThrough(buf[:min(int64(len(buf)), size-at)], to, from, at)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("the database ends at %d bytes, its pages take %d", at, size)
		}
		beginWriting(to, at, n)
		at += n
		copied(at)
	}
	return nil
}

func copyThrough(buf []byte, to, from *os.File, at int64) (int64, error) {
	n, err := from.ReadAt(buf, at)
	if n == 0 && !errors.Is(err, io.EOF) {
		return 0, err
	}
	_, err = to.WriteAt(buf[:n], at)
	return int64(n), err
}
