package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// unnamed is a file that gets its name when it is whole.
type unnamed struct {
	file *os.File
	path string // the name to come
	part string // where the file system knows no unnamed files: the name until then
}

func newUnnamed(path string) (*unnamed, error) {
	part := path + ".part"
	if err := removeStaleFile(part); err != nil {
		return nil, err
	}
	if file, err := openUnnamed(filepath.Dir(path)); err == nil {
		return &unnamed{file: file, path: path}, nil
	}
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(part))
	}
	return &unnamed{file: file, path: path, part: part}, nil
}

// removeStaleFile removes what a killed run of ours left at path: a file of
// this user's alone that nobody holds.
func removeStaleFile(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%q is in the way, and no half-made target of ours: %w", path, fs.ErrExist)
	}
	lock, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%q is being written by another process: %w", path, snapshot.ErrInUse)
	}
	return os.Remove(path)
}

// link gives the file a name, which must be free.
func (u *unnamed) link(path string) (err error) {
	if u.part == "" {
		err = unix.Linkat(unix.AT_FDCWD, fdPath(u.file), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	} else {
		err = os.Link(u.part, path) // unlike rename, it does not replace
	}
	if err != nil {
		return &fs.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

// name syncs the file and gives it its name, which must be free.
func (u *unnamed) name() error {
	if err := u.file.Sync(); err != nil {
		return err
	}
	if err := u.link(u.path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(u.path))
}

// replace syncs the file and puts it in the place of the one that stands there,
// which stays as aside. At no moment is there none.
func (u *unnamed) replace(aside string) error {
	if err := u.file.Sync(); err != nil {
		return err
	}
	if u.part == "" {
		if err := u.link(u.path + ".part"); err != nil {
			return err
		}
		u.part = u.path + ".part"
	}
	if err := os.Link(u.path, aside); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil { // no hard links here
		if err := os.Rename(u.path, aside); err != nil {
			return err
		}
	}
	if err := os.Rename(u.part, u.path); err != nil {
		return err
	}
	u.part = ""
	if err := likeOld(aside, u.path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(u.path))
}

func (u *unnamed) discard() {
	u.file.Close()
	if u.part != "" {
		_ = os.Remove(u.part) // what counts by now is another error, or the file's own name
	}
}
