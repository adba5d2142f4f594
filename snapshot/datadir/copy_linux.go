package datadir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve finds out about a full disk before the first byte.
func reserve(file *os.File, size int64) error {
	return unix.Fallocate(int(file.Fd()), 0, 0, size)
}

// copyInKernel copies up to n bytes. A file system that can share blocks between
// files (XFS, Btrfs) does so.
func copyInKernel(to, from *os.File, at, n int64) (int64, error) {
	for {
		source, target := at, at
		copied, err := unix.CopyFileRange(int(from.Fd()), &source, int(to.Fd()), &target, int(n), 0)
		if !errors.Is(err, unix.EINTR) {
			return int64(copied), err
		}
	}
}

// beginWriting has the disk write a part of a file; nobody waits for it.
func beginWriting(file *os.File, at, n int64) {
	_ = unix.SyncFileRange(int(file.Fd()), at, n, unix.SYNC_FILE_RANGE_WRITE)
}
