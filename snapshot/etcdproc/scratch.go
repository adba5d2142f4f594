package etcdproc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	scratchPattern = "lifeboat-etcd-*.part"
	ownerFile      = "owner" // locked as long as parent or child live
	dataDir        = "etcd"  // etcd's data dir
)

// scratch is the folder of one child: the data dir, and a file whose lock
// says that it is in use. Both processes hold the lock (flock(2) belongs to
// the open file, which the child inherits), so that Sweep leaves the folder
// alone until the last of them is gone.
type scratch struct {
	dir   string
	owner *os.File
}

// newScratch makes a 0700 folder under parent and locks it.
func newScratch(parent string) (*scratch, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return nil, err
	}
	for {
		dir, err := os.MkdirTemp(parent, scratchPattern)
		if err != nil {
			return nil, err
		}
		s, err := lockScratch(dir, os.O_CREATE|os.O_EXCL)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOwned) {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		// A Sweep came between two steps: take another name.
	}
}

// errOwned: the folder belongs to a living process, or does not exist any more.
var errOwned = errors.New("in use")

// lockScratch opens and locks the owner file of dir.
func lockScratch(dir string, flags int) (*scratch, error) {
	path := filepath.Join(dir, ownerFile)
	owner, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(owner.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = owner.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errOwned
		}
		return nil, fmt.Errorf("locking %q: %w", path, err)
	}
	if !isFile(owner, path) { // somebody removed it before it was locked
		_ = owner.Close()
		return nil, errOwned
	}
	return &scratch{dir: dir, owner: owner}, nil
}

// isFile reports whether path still names f.
func isFile(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(held, named)
}

// remove deletes the folder: what this package puts there and nothing else.
// The owner file goes last, so that a removal that was cut short still shows
// Sweep whose it is.
func (s *scratch) remove() error {
	return errors.Join(s.empty(), s.owner.Close())
}

// abandon removes the folder while etcd is still at work, and may put a file
// where one was just removed.
func (s *scratch) abandon() {
	for range 10 {
		if s.empty() == nil {
			return
		}
	}
}

func (s *scratch) empty() error {
	for _, step := range []func() error{
		func() error { return os.RemoveAll(filepath.Join(s.dir, dataDir)) },
		func() error { return os.Remove(filepath.Join(s.dir, ownerFile)) },
		func() error { return os.Remove(s.dir) },
	} {
		if err := step(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Sweep removes the scratch folders under dir whose processes are gone, left
// behind when parent and child were killed together, and returns their names.
// Folders of living processes, of other users, and whatever else has such a
// name stay as they are.
func Sweep(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for scratch folders: %w", err)
	}
	var swept []string
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !isScratch(entry.Name()) || !isOurs(path) {
			continue
		}
		gone, err := sweepOne(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("removing %q: %w", path, err))
		}
		if gone {
			swept = append(swept, path)
		}
	}
	return swept, errors.Join(errs...)
}

// sweepOne removes the scratch folder at path unless somebody owns it.
func sweepOne(path string) (gone bool, err error) {
	s, err := lockScratch(path, 0)
	switch {
	case errors.Is(err, errOwned):
		return false, nil
	case errors.Is(err, fs.ErrNotExist):
		// Its maker did not come as far as the lock. Remove takes it only if
		// it is empty, and a maker that still lives then takes another name.
		return os.Remove(path) == nil, nil
	case err != nil:
		return false, err
	}
	if err := s.remove(); err != nil {
		return false, err
	}
	return true, nil
}

// isScratch reports whether a scratch folder may have this name.
func isScratch(name string) bool {
	ok, _ := filepath.Match(scratchPattern, name) // the pattern is well-formed
	return ok
}

// isOurs reports whether path is a folder that this user made for itself.
func isOurs(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
