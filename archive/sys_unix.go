//go:build linux || darwin

package archive

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownerOf gives the owner and the group of a file, root where the system has
// none.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return 0, 0
}

// freeSpace is what may be written to a folder's file system; ok is false where
// that is not known.
func freeSpace(dir string) (free int64, ok bool) {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return 0, false
	}
	return int64(stat.Bavail) * int64(stat.Bsize), true //nolint:unconvert // darwin's is uint32
}
