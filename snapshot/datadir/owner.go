package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Owner is a user and a group.
type Owner struct{ UID, GID int }

// ParseOwner reads USER, USER:GROUP or :GROUP, by name or number. What is left
// out is not changed.
func ParseOwner(text string) (*Owner, error) {
	name, group, _ := strings.Cut(text, ":")
	o := &Owner{UID: -1, GID: -1}
	var err error
	if name != "" {
		if o.UID, err = strconv.Atoi(name); err != nil {
			u, lookupErr := user.Lookup(name)
			if lookupErr != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, lookupErr)
			}
			if o.UID, err = strconv.Atoi(u.Uid); err != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, err)
			}
		}
	}
	if group != "" {
		if o.GID, err = strconv.Atoi(group); err != nil {
			g, lookupErr := user.LookupGroup(group)
			if lookupErr != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, lookupErr)
			}
			if o.GID, err = strconv.Atoi(g.Gid); err != nil {
				return nil, fmt.Errorf("reading owner %q: %w", text, err)
			}
		}
	}
	return o, nil
}

// apply gives what was built its owner: o, else that of what it replaces. The
// mode and the security label of what is replaced are kept, too.
func (o *Owner) apply(b *memberBuild) error {
	if b.aside != "" {
		if err := likeOld(b.final, b.built); err != nil {
			return err
		}
	}
	if o == nil {
		return nil
	}
	roots := []string{b.built}
	if b.wal != nil {
		roots = append(roots, b.wal.built)
	}
	for _, root := range roots {
		if err := walk(root, func(path string) error { return os.Lchown(path, o.UID, o.GID) }); err != nil {
			return err
		}
	}
	return nil
}

// likeOld gives the new tree the owner and the label of the old folder, and
// the new folder its mode.
func likeOld(old, built string) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%q has no owner", old)
	}
	label := make([]byte, 1024)
	n, err := unix.Lgetxattr(old, "security.selinux", label)
	if err != nil {
		n = 0 // no such label, or a system without any
	}
	if err := walk(built, func(path string) error {
		if err := os.Lchown(path, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if err := unix.Lsetxattr(path, "security.selinux", label[:n], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &fs.PathError{Op: "setxattr", Path: path, Err: err}
		}
		return nil
	}); err != nil {
		return err
	}
	return os.Chmod(built, info.Mode().Perm())
}

func walk(root string, do func(path string) error) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return do(path)
	})
}
