package whole

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func exchange(a, b string) error { return renameat2(a, b, unix.RENAME_EXCHANGE) }

func renameExclusive(from, to string) error { return renameat2(from, to, unix.RENAME_NOREPLACE) }

// renameat2 is errors.ErrUnsupported on file systems that do not know the flag,
// some network ones and FAT among them.
func renameat2(from, to string, flag uint) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flag)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// openUnnamed makes a file on dir's file system that has no name, where it can
// be given one later.
func openUnnamed(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(descriptor(f)); err != nil { // no /proc on a rescue system
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// linkUnnamed gives such a file a name, which must be free.
func linkUnnamed(f *os.File, path string) error {
	if err := unix.Linkat(unix.AT_FDCWD, descriptor(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &fs.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

func descriptor(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// isMount reports whether something is mounted at path, a folder or a file. The
// kernel knows since Linux 5.8; before, a bind mount from the same file system is
// found out by the rename that fails.
func isMount(path string) (bool, error) {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &stat); err == nil &&
		stat.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	return otherDevice(path)
}

// beginWriting has the disk write a part of a file; nobody waits for it.
func beginWriting(file *os.File, at, n int64) {
	_ = unix.SyncFileRange(int(file.Fd()), at, n, unix.SYNC_FILE_RANGE_WRITE) // Commit syncs all of it
}
