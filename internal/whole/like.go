package whole

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// dress gives what was built the owner, the mode and the security label of what
// it replaces; of the folder that it comes into the owner and the label alone.
func (b *build) dress() error {
	switch {
	case b.exists:
		info, err := b.like(b.Final)
		if err != nil {
			return err
		}
		if err := b.call("chmod", func() error { return os.Chmod(b.built, info.Mode().Perm()) }); err != nil {
			return err
		}
	case b.inside:
		if _, err := b.like(filepath.Dir(b.Final)); err != nil {
			return err
		}
	}
	if o := b.opts.Owner; o != nil {
		return walk(b.built, func(path string) error { return b.chown(path, o.UID, o.GID) })
	}
	return nil
}

func (b *build) chown(path string, uid, gid int) error {
	return b.call("chown", func() error { return os.Lchown(path, uid, gid) })
}

// like gives what was built the owner and the label of an old file or folder.
func (b *build) like(old string) (fs.FileInfo, error) {
	info, err := os.Stat(old)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%q has no owner", old)
	}
	label := make([]byte, 1024)
	n, err := unix.Lgetxattr(old, "security.selinux", label)
	if err != nil {
		n = 0 // no such label, or a system without any
	}
	return info, walk(b.built, func(path string) error {
		if err := b.chown(path, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if err := unix.Lsetxattr(path, "security.selinux", label[:n], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &fs.PathError{Op: "setxattr", Path: path, Err: err}
		}
		return nil
	})
}

func walk(root string, do func(path string) error) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return do(path)
	})
}
