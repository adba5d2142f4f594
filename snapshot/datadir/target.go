package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Target is a folder that is written whole or not at all: it is built beside
// its place, as NAME.part, and renamed. In an empty folder that exists, which
// may be a mount point, member.part becomes member. For Save it is a file.
type Target struct {
	Path    string
	Replace bool // move what stands there aside; else it is refused with fs.ErrExist

	// Now names what is moved aside. It is a field because a plan and its
	// execution have to agree.
	Now time.Time
}

// marker is the file by which a folder is known to be a build of ours.
const marker = ".lifeboat-part"

// place is where a Target's parts stand.
type place struct {
	final string // what comes into being by the last rename
	part  string // what it is built in
	data  string // the data dir under way, in part
	built string // what is renamed to final: data, or member in it
	aside string // where the old one goes, "" where there is none
}

// place looks at what stands there.
func (t Target) place() (place, error) {
	path, err := filepath.Abs(t.Path)
	if err != nil {
		return place{}, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return whole(path), nil
	case err != nil:
		return place{}, err
	case !info.IsDir():
		return place{}, fmt.Errorf("%q is no folder: %w", path, fs.ErrExist)
	}
	mount, err := isMount(path)
	if err != nil {
		return place{}, err
	}
	content, err := contentOf(path)
	if err != nil {
		return place{}, err
	}
	switch {
	case len(content) == 0 || mount && t.Replace:
		p := inside(path)
		if _, err := os.Lstat(p.final); err == nil {
			p.aside = t.aside(p.final)
		}
		return p, nil
	case !t.Replace:
		return place{}, fmt.Errorf("%q holds %q: %w", path, content[0], fs.ErrExist)
	}
	p := whole(path)
	p.aside = t.aside(path)
	return p, nil
}

// aside is where what is replaced goes.
func (t Target) aside(path string) string {
	return path + ".old-" + t.Now.UTC().Format("20060102T150405Z")
}

// file looks at what stands where a file is to be written, and says where that
// goes: "" for nothing.
func (t Target) file() (aside string, err error) {
	info, err := os.Lstat(t.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !t.Replace:
		return "", fs.ErrExist
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("no regular file stands there, so it is not replaced: %w", fs.ErrExist)
	}
	return t.aside(t.Path), nil
}

// whole is the place of a folder that comes into being as a whole.
func whole(path string) place {
	data := filepath.Join(path+".part", "data")
	return place{final: path, part: path + ".part", data: data, built: data}
}

// inside is the place of a data dir whose folder stays: a mount point.
func inside(path string) place {
	part := filepath.Join(path, "member.part")
	data := filepath.Join(part, "data")
	return place{final: filepath.Join(path, "member"), part: part, data: data, built: filepath.Join(data, "member")}
}

// contentOf lists what stands in a folder besides what a file system makes by
// itself and what a build of ours left.
func contentOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != "member.part" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func isMount(path string) (bool, error) {
	var own, parent syscall.Stat_t
	if err := syscall.Stat(path, &own); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := syscall.Stat(filepath.Dir(path), &parent); err != nil {
		return false, &fs.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	return own.Dev != parent.Dev || own.Ino == parent.Ino, nil
}

// Scratch is a folder on the file system that a target at path will stand on:
// the target itself where it is a mount point, else the nearest folder above it.
func Scratch(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return "."
	}
	if mount, err := isMount(path); err == nil && mount {
		return path
	}
	return existing(filepath.Dir(path))
}

// build is a Target under way.
type build struct {
	place
	lock *os.File // of part; a build of a living process is left alone

	placed bool // what was built stands in its place
}

// begin makes the folder to build in. One that a killed run left is removed.
func (t Target) begin() (*build, error) {
	p, err := t.place()
	if err != nil {
		return nil, err
	}
	if p.aside != "" {
		if err := (&Dir{Path: t.Path}).InUse(); err != nil {
			return nil, err
		}
	}
	if err := removeStale(p.part); err != nil {
		return nil, err
	}
	if err := os.Mkdir(p.part, 0o700); err != nil {
		return nil, err
	}
	b := &build{place: p}
	if b.lock, err = os.Open(p.part); err == nil {
		err = syscall.Flock(int(b.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.part, marker), nil, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, b.abort())
	}
	return b, nil
}

// removeStale removes what a killed run of ours left at path.
func removeStale(path string) error {
	lock, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%q is being written by another process: %w", path, snapshot.ErrInUse)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(path, marker)); err != nil && len(entries) > 0 {
		return fmt.Errorf("%q is in the way, and no half-made target of ours: %w", path, fs.ErrExist)
	}
	if err := rescue(path); err != nil {
		return err
	}
	return removeBuild(path)
}

// removeBuild removes the folder of a build, its marker last: without that, what
// a kill leaves of it would be nobody's, and in the way for ever.
func removeBuild(part string) error {
	entries, err := os.ReadDir(part)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(part, e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(part)
}

// abort removes what was built.
func (b *build) abort() error {
	defer b.lock.Close()
	return removeBuild(b.part)
}

// commit puts the build, which was synced, in its place. After an error the old
// target stands where it stood.
func (b *build) commit() error {
	defer b.lock.Close()
	put := b.replace
	if b.aside == "" {
		put = func() error { return renameNew(b.built, b.final) }
	}
	if err := put(); err != nil {
		if _, b.placed, _ = readNote(b.part); b.placed {
			return err // part holds the old target
		}
		return errors.Join(err, removeBuild(b.part))
	}
	b.placed = true
	if err := syncFile(filepath.Dir(b.final)); err != nil {
		return err
	}
	return removeBuild(b.part)
}

// renameNew renames a folder; an empty one may stand at the new name, rename(2)
// replaces it.
func renameNew(from, to string) error {
	if entries, err := os.ReadDir(to); err == nil && len(entries) > 0 {
		return fmt.Errorf("%q came into being meanwhile: %w", to, fs.ErrExist)
	}
	return os.Rename(from, to)
}

// syncTree writes all files and folders through to the disk.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
