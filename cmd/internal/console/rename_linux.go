package console

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNew renames and never replaces: the kernel sees to it. A file system
// that does not know how (FAT) is asked first whether the name is free.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return RenameFree(from, to)
	}
	return err
}
