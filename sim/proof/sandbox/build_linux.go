package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// builder makes the inside of a sandbox, in the namespaces that this process
// was started in.
type builder struct {
	spec  setUp
	step  string // under way
	notes []string
}

func (b *builder) build() error {
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"bringing the loopback device up", linkUp},
		{"giving the loopback device the addresses", b.addresses},
		{"keeping mounts from the host", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"binding the folder", func() error { return unix.Mount(b.spec.Dir, b.spec.Dir, "", unix.MS_BIND|unix.MS_REC, "") }},
		{"furnishing the roots", b.furnishAll},
		{"changing the root", b.pivot},
	} {
		b.step = s.name
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addresses() error {
	for _, a := range b.spec.Addresses {
		if err := addAddress(a); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	return nil
}

// devices are those that a server opens: for randomness, and for nothing.
var devices = []string{"null", "zero", "random", "urandom"}

func (b *builder) furnishAll() error {
	for _, r := range b.spec.Roots {
		if err := b.furnish(r); err != nil {
			return fmt.Errorf("%q: %w", r.Name, err)
		}
	}
	return nil
}

// furnish makes what a program sees at /. Mounts go in by their depth, so that
// one may stand within another.
func (b *builder) furnish(r Root) error {
	root := filepath.Join(b.spec.Dir, "roots", r.Name)
	for _, dir := range []string{"proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		// In a container whose own /proc is partly hidden. Go programs do without.
		b.note("%s has no /proc: %v", r.Name, err)
	}
	for _, device := range devices {
		if err := bind(root, Mount{From: "/dev/" + device, To: "/dev/" + device}); err != nil {
			return err
		}
	}
	own, err := b.own()
	if err != nil {
		return err
	}
	mounts := append(slices.Clone(r.Mounts), Mount{From: own, To: SelfPath, ReadOnly: true})
	slices.SortStableFunc(mounts, func(a, b Mount) int { return strings.Count(a.To, "/") - strings.Count(b.To, "/") })
	for _, m := range mounts {
		if err := bind(root, m); err != nil {
			return fmt.Errorf("binding %q: %w", m.From, err)
		}
	}
	return nil
}

// own is the file of this program by a name in this mount namespace: the mount
// behind /proc/self/exe is the host's. One that an upgrade has replaced is
// copied from what runs.
func (b *builder) own() (string, error) {
	const self = "/proc/self/exe"
	running, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	name, err := os.Readlink(self)
	if err != nil {
		return "", err
	}
	if named, err := os.Stat(name); err == nil && os.SameFile(named, running) {
		return name, nil
	}
	name = filepath.Join(b.spec.Dir, "lifeboat")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	from, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return name, errors.Join(err, to.Close())
}

func (b *builder) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// bind puts a file or folder of the host into a root. What was archived may
// hold symbolic links, and none of them may lead the mount out of the root.
func bind(root string, m Mount) error {
	info, err := os.Stat(m.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	at := filepath.Join(root, m.To)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(at)); err != nil || real != root && !strings.HasPrefix(real, root+"/") {
		return fmt.Errorf("%q: %w", m.To, errors.Join(errors.New("it leads out of the root"), err))
	}
	if info.IsDir() {
		err = os.MkdirAll(at, 0o700)
	} else if _, missing := os.Lstat(at); missing != nil {
		err = os.WriteFile(at, nil, 0o600)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(m.From, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return &fs.PathError{Op: "mount", Path: at, Err: err}
	}
	if !m.ReadOnly {
		return nil
	}
	// A user namespace may not take flags away that the host has set.
	var stat unix.Statfs_t
	if err := unix.Statfs(at, &stat); err != nil {
		return err
	}
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME
	flags := uintptr(stat.Flags)&kept | unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", at, "", flags, ""); err != nil {
		return &fs.PathError{Op: "remount", Path: at, Err: err}
	}
	return nil
}

// pivot makes Dir the root and lets go of the host's file system.
func (b *builder) pivot() error {
	if err := os.Chdir(b.spec.Dir); err != nil {
		return err
	}
	// The old root comes to lie on the new one, and is taken away from there
	// (pivot_root(2), "pivot_root(".", ".")").
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount", err)
	}
	return os.Chdir("/")
}
