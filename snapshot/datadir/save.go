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

	"github.com/lifeboat-dr/lifeboat/internal/whole"
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
// The file has no name until it is whole: a kill leaves none of its bytes.
func Save(ctx context.Context, db *os.File, size int64, target Target) (Saved, error) {
	s, err := save(ctx, db, size, target)
	if err != nil {
		return s, fmt.Errorf("saving %q: %w", target.Path, err)
	}
	return s, nil
}

func save(ctx context.Context, db *os.File, size int64, target Target) (s Saved, err error) {
	if err := checkSpace(filepath.Dir(target.Path), size+sha256.Size); err != nil {
		return s, err
	}
	out, err := whole.NewFile(target.Path, target.options())
	if err != nil {
		return s, err
	}
	if s.Sum, err = copyAndHash(ctx, out.File, db, size); err == nil {
		_, err = out.WriteAt(s.Sum[:], size)
	}
	if err != nil {
		return s, errors.Join(err, out.Discard())
	}
	err = out.Commit()
	s.Aside = out.Aside
	return s, err
}

// copyAndHash is copyPages and the sha256 sum of what was written, which is read
// back while the rest is being copied.
func copyAndHash(ctx context.Context, to, from *os.File, size int64) (sum [sha256.Size]byte, err error) {
	upTo := make(chan int64)
	hashed := later(func() (sum [sha256.Size]byte, err error) {
		hash, buf, at := sha256.New(), make([]byte, 1<<20), int64(0)
		for end := range upTo {
			if err == nil {
				_, err = io.CopyBuffer(hash, io.NewSectionReader(to, at, end-at), buf)
			}
			at = end
		}
		hash.Sum(sum[:0])
		return sum, err
	})
	err = copyPages(ctx, to, from, size, func(end int64) { upTo <- end })
	close(upTo)
	sum, hashErr := hashed()
	return sum, errors.Join(err, hashErr)
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
