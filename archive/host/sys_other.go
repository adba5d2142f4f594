//go:build !linux

package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	keepOther = 1
	exchange  = 2
)

// renameAt is for hosts of a control plane, which are Linux: elsewhere a copy of
// one can be looked at and planned for, and no plan is carried out.
func renameAt(*os.File, string, *os.File, string, uint) error { return errors.ErrUnsupported }

func fileSystem(f *os.File) (free int64, readOnly bool, err error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &stat); err != nil {
		return 0, false, &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	return int64(stat.Bavail) * int64(stat.Bsize), stat.Flags&unix.MNT_RDONLY != 0, nil
}

func isImmutable(*os.File) bool { return false }
