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

// Save writes a database as `etcdctl snapshot save` does, with its sha256 sum
// behind it, to a file that must not exist. size is that of the database's
// pages: a member's file may be longer.
//
// The file has no name until it is whole: a kill leaves nothing.
func Save(ctx context.Context, db *os.File, size int64, path string) (sum [sha256.Size]byte, err error) {
	sum, err = save(ctx, db, size, path)
	if err != nil {
		return sum, fmt.Errorf("saving %q: %w", path, err)
	}
	return sum, nil
}

func save(ctx context.Context, db *os.File, size int64, path string) (sum [sha256.Size]byte, err error) {
	if _, err := os.Lstat(path); err == nil {
		return sum, fs.ErrExist
	}
	if err := checkSpace(filepath.Dir(path), size+sha256.Size); err != nil {
		return sum, err
	}
	out, err := newUnnamed(path)
	if err != nil {
		return sum, err
	}
	defer out.discard()
	hash := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(out.file, hash), &contextReader{ctx, &fileReader{file: db, size: size}}, make([]byte, 1<<20))
	if err != nil {
		return sum, err
	}
	if n != size {
		return sum, fmt.Errorf("the database ends at %d bytes, its pages take %d", n, size)
	}
	hash.Sum(sum[:0])
	if _, err := out.file.Write(sum[:]); err != nil {
		return sum, err
	}
	return sum, out.name()
}

// unnamed is a file that gets its name when it is whole.
type unnamed struct {
	file *os.File
	path string // the name to come
	part string // where the file system knows no unnamed files: the name until then
}

func newUnnamed(path string) (*unnamed, error) {
	if file, err := openUnnamed(filepath.Dir(path)); err == nil {
		return &unnamed{file: file, path: path}, nil
	}
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &unnamed{file: file, path: path, part: part}, nil
}

// name syncs the file and gives it its name, which must be free.
func (u *unnamed) name() error {
	if err := u.file.Sync(); err != nil {
		return err
	}
	var err error
	if u.part == "" {
		err = unix.Linkat(unix.AT_FDCWD, fdPath(u.file), unix.AT_FDCWD, u.path, unix.AT_SYMLINK_FOLLOW)
	} else {
		err = os.Link(u.part, u.path) // unlike rename, it does not replace
	}
	if err != nil {
		return &fs.PathError{Op: "link", Path: u.path, Err: err}
	}
	return syncFile(filepath.Dir(u.path))
}

func (u *unnamed) discard() {
	u.file.Close()
	if u.part != "" {
		_ = os.Remove(u.part) // what counts by now is another error, or the file's own name
	}
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
