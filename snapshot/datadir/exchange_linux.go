package datadir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange swaps two names at one moment. A file system that cannot (some
// network and overlay ones) is errors.ErrUnsupported.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}
