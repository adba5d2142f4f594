package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// How a rename takes what stands at the new name.
const (
	keepOther = unix.RENAME_NOREPLACE // it is an error
	exchange  = unix.RENAME_EXCHANGE  // both change places, at one moment
)

func renameAt(dir *os.File, from string, toDir *os.File, to string, how uint) error {
	return unix.Renameat2(int(dir.Fd()), from, int(toDir.Fd()), to, how)
}

// fileSystem is how much is free where an open file or folder stands, and whether
// it can be written to.
func fileSystem(f *os.File) (free int64, readOnly bool, err error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &stat); err != nil {
		return 0, false, &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	return int64(stat.Bavail) * stat.Bsize, stat.Flags&unix.ST_RDONLY != 0, nil
}

// The attributes of a file that keep it from being renamed (linux/fs.h
// FS_IMMUTABLE_FL, FS_APPEND_FL).
const (
	immutableFlag = 0x10
	appendFlag    = 0x20
)

// isImmutable reports whether an open file or folder has the attribute of chattr
// +i or +a. File systems without attributes have none.
func isImmutable(f *os.File) bool {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&(immutableFlag|appendFlag) != 0
}
