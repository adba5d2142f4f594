package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// doEdit writes the new content beside and exchanges the names: kubelet sees
// the old file or the new one, and the old one, with its times, is kept.
func doEdit(_ context.Context, r *Run, s Step) error {
	old, now := r.root.digest(s.From), r.root.digest(s.To)
	switch {
	case now == digestOf(s.Content) && old == s.Old:
		return nil
	case now != s.Old:
		return fmt.Errorf("editing %q: its content was %w", s.To, ErrChanged)
	}
	if err := r.root.writeLike(s.From, s.To, s.Content); err != nil {
		return fmt.Errorf("editing %q: %w", s.To, err)
	}
	return r.root.rename(s.From, s.To, exchange)
}

// undoEdit puts the old file back. What the run wrote itself, and nobody
// changed, goes; its content is in the journal.
func undoEdit(_ context.Context, r *Run, s Step) error {
	old, now := r.root.digest(s.From), r.root.digest(s.To)
	switch {
	case now == s.Old && r.root.is(s.To, s.ID):
	case now == digestOf(s.Content) && old == s.Old:
		if err := r.root.rename(s.From, s.To, exchange); err != nil {
			return err
		}
	default:
		return fmt.Errorf("undoing the edit of %q: its content was %w", s.To, ErrChanged)
	}
	err := r.root.root.Remove(rel(s.From))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, r.root.syncAbove(s.From))
}

// writeLike writes a file with the owner, mode and security label of another.
func (r *Root) writeLike(name, like string, content []byte) error {
	info, err := r.root.Lstat(rel(like))
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%q has no owner", like)
	}
	f, err := r.root.OpenFile(rel(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chown(int(stat.Uid), int(stat.Gid)))
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), r.label(f, like), f.Sync(), f.Close())
	return err
}

// label copies the SELinux label, where there is one.
func (r *Root) label(f *os.File, like string) error {
	source, err := r.root.Open(rel(like))
	if err != nil {
		return err
	}
	defer source.Close()
	label := make([]byte, 1024)
	n, err := unix.Fgetxattr(int(source.Fd()), "security.selinux", label)
	if err != nil {
		return nil // no such label, or a system without any
	}
	err = unix.Fsetxattr(int(f.Fd()), "security.selinux", label[:n], 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func (r *Root) syncAbove(name string) error { return r.sync(path.Dir(name)) }
