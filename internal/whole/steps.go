package whole

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// steps makes system calls one by one. Tests fail, or die, before each of them.
type steps struct{ before func(call string) error }

func (s steps) call(name string, do func() error) error {
	if s.before != nil {
		if err := s.before(name); err != nil {
			return err
		}
	}
	return do()
}

// syncTree writes files and folders through to the disk. It is a pass of its own,
// behind the last byte: the first call lets a journaling file system commit
// everything, and the others find little to do.
func (s steps) syncTree(ctx context.Context, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !entry.IsDir() && !entry.Type().IsRegular():
			return nil // a link's text stands in its folder
		}
		return s.syncPath(path)
	})
}

func (s steps) syncPath(path string) error {
	return s.call("sync", func() error {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		err = f.Sync()
		if info, statErr := f.Stat(); statErr == nil && info.IsDir() && errors.Is(err, syscall.EINVAL) {
			err = nil // some file systems know no such thing for folders
		}
		return errors.Join(err, f.Close())
	})
}
