package local

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// folderPattern names the folders; a run holds the lock on its own.
const folderPattern = "lifeboat-serve-"

// folder is a run's private folder: kubeconfig and caches of its clients.
type folder struct {
	path string
	lock *os.File
}

// newFolder makes the folder, and removes those whose run is gone.
func newFolder(parent string) (*folder, []string, error) {
	parent = cmp.Or(parent, os.Getenv("XDG_RUNTIME_DIR"), os.TempDir())
	removed := removeAbandoned(parent)
	path, err := os.MkdirTemp(parent, folderPattern) // 0700
	if err != nil {
		return nil, removed, fmt.Errorf("making a private folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, removed, errors.Join(fmt.Errorf("locking the private folder: %w", err), os.RemoveAll(path))
	}
	return &folder{path, lock}, removed, nil
}

func (f *folder) remove() error {
	defer f.lock.Close()
	if err := os.RemoveAll(f.path); err != nil {
		return fmt.Errorf("removing the private folder: %w", err)
	}
	return nil
}

// removeAbandoned removes the folders of runs that were killed: ours, private,
// and with a lock that nobody holds.
func removeAbandoned(parent string) (removed []string) {
	paths, err := filepath.Glob(filepath.Join(parent, folderPattern+"*"))
	if err != nil {
		return nil
	}
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // one that is just being made
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && os.RemoveAll(path) == nil {
			removed = append(removed, path)
		}
		lock.Close()
	}
	return removed
}
