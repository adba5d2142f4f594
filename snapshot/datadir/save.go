package datadir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Saved is a file that Save has written.
type Saved struct {
	Sum   [sha256.Size]byte // of the database, the file's end
	Aside string            // where the file went that stood there, "" for none
}

// Save writes a database as `etcdctl snapshot save` does, with its sha256 sum
// behind it, to a file; target.Replace moves one that stands there aside. size
// is that of the database's pages: a member's file may be longer.
//
// The file has no name until it is whole: a kill leaves nothing.
func Save(ctx context.Context, db *os.File, size int64, target Target) (Saved, error) {
	s, err := save(ctx, db, size, target)
	if err != nil {
		return s, fmt.Errorf("saving %q: %w", target.Path, err)
	}
	return s, nil
}

func save(ctx context.Context, db *os.File, size int64, target Target) (s Saved, err error) {
	if s.Aside, err = target.file(); err != nil {
		return s, err
	}
	if err := checkSpace(filepath.Dir(target.Path), size+sha256.Size); err != nil {
		return s, err
	}
	out, err := newUnnamed(target.Path)
	if err != nil {
		return s, err
	}
	defer out.discard()
	hash := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(out.file, hash), &contextReader{ctx, &fileReader{file: db, size: size}}, make([]byte, 1<<20))
	if err != nil {
		return s, err
	}
	if n != size {
		return s, fmt.Errorf("the database ends at %d bytes, its pages take %d", n, size)
	}
	hash.Sum(s.Sum[:0])
	if _, err := out.file.Write(s.Sum[:]); err != nil {
		return s, err
	}
	if s.Aside != "" {
		return s, out.replace(s.Aside)
	}
	return s, out.name()
}

// ErrNoSpace says that a target does not fit; nothing was written.
var ErrNoSpace = errors.New("not enough free space")

// checkSpace makes sure that need bytes fit in dir's file system.
func checkSpace(dir string, need int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free < need { //nolint:unconvert // Bsize is an int32 elsewhere
		return fmt.Errorf("%w in %q: %d bytes are needed, %d are free", ErrNoSpace, dir, need, free)
	}
	return nil
}

// contextReader ends reading when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
