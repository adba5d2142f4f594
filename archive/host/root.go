package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Root is a host's file system, from its root folder on. Names are absolute
// and those of the host: "/etc/kubernetes".
type Root struct {
	dir  string // in the file system of this process
	root *os.Root
}

// OpenRoot opens the folder that is the host's "/".
func OpenRoot(dir string) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening root folder %q: %w", dir, err)
	}
	return &Root{dir: dir, root: root}, nil
}

// Close ends the use of the root folder.
func (r *Root) Close() error { return r.root.Close() }

// Dir is the root folder itself.
func (r *Root) Dir() string { return r.dir }

// Path is the name in this process's file system of a name of the host.
func (r *Root) Path(name string) string { return filepath.Join(r.dir, name) }

// Command is a verb of `lifeboat host` to be typed for this root folder: on a copy
// of a host it names the copy, so that what is printed there is not run here.
func (r *Root) Command(verb string) string {
	if r.dir == "/" {
		return "lifeboat host " + verb
	}
	return "lifeboat host " + verb + " --root " + quote(r.dir)
}

// rel is the name that os.Root wants.
func rel(name string) string {
	if name = strings.TrimPrefix(path.Clean(name), "/"); name == "" {
		return "."
	}
	return name
}

// maxLinks is the kernel's bound, too.
const maxLinks = 40

// Resolve follows the symbolic links in a name: all of them, or all but the
// last component's. Absolute links start at the root folder. What does not
// exist is taken as it stands.
func (r *Root) Resolve(name string, last bool) (string, error) {
	rest := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	done, links := "/", 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		next := path.Join(done, part) // ".." stops at the root
		if part == ".." || !last && len(rest) == 0 {
			done = next
			continue
		}
		info, err := r.root.Lstat(rel(next))
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return "", err
			}
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("following %q: %w", name, syscall.ELOOP)
		}
		to, err := r.root.Readlink(rel(next))
		if err != nil {
			return "", err
		}
		if path.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(strings.Trim(to, "/"), "/"), rest...)
	}
	return done, nil
}

// lstat looks at what a name itself is; nil without an error for nothing.
func (r *Root) lstat(name string) (fs.FileInfo, error) {
	info, err := r.root.Lstat(rel(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	return info, err
}

// exists reports whether anything stands at a name. An error counts as yes:
// nothing may be put there.
func (r *Root) exists(name string) bool {
	info, err := r.lstat(name)
	return info != nil || err != nil
}

// ReadFile reads a file of the host, of at most limit bytes.
func (r *Root) readFile(name string, limit int64) ([]byte, error) {
	f, err := r.root.Open(rel(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("reading %q: %w: no regular file", name, fs.ErrInvalid))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("reading %q: larger than %d bytes", name, limit)
	}
	return data, err
}

// readDir lists a folder of the host, sorted.
func (r *Root) readDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(r.root.FS(), rel(name))
}

// sync writes a file or a folder's names through to the disk.
func (r *Root) sync(name string) error {
	f, err := r.root.Open(rel(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// rename gives from another name, to which nothing may stand at, or exchanges
// both names; then the folders are synced.
func (r *Root) rename(from, to string, how uint) error {
	a, err := r.root.Open(rel(path.Dir(from)))
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := r.root.Open(rel(path.Dir(to)))
	if err != nil {
		return err
	}
	defer b.Close()
	err = renameAt(a, path.Base(from), b, path.Base(to), how)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return errors.Join(a.Sync(), b.Sync())
}

// identity names a file however it is called.
type identity struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

func identityOf(info fs.FileInfo) identity {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(stat.Dev), stat.Ino} //nolint:unconvert // Dev is an int32 elsewhere
	}
	return identity{}
}

// is reports whether the file at a name is the one known by an identity.
func (r *Root) is(name string, id identity) bool {
	info, err := r.lstat(name)
	return err == nil && info != nil && identityOf(info) == id
}

// device is the file system that a name stands on, or would.
func (r *Root) device(name string) (uint64, error) {
	for {
		info, err := r.root.Stat(rel(name))
		if err == nil {
			return identityOf(info).Device, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || name == "/" {
			return 0, err
		}
		name = path.Dir(name)
	}
}

// writable says why nothing can be written at a folder, nil where it can.
func (r *Root) writable(dir string) error {
	for !r.exists(dir) && dir != "/" {
		dir = path.Dir(dir)
	}
	f, err := r.root.Open(rel(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	_, readOnly, err := fileSystem(f)
	if err == nil && readOnly {
		err = fmt.Errorf("writing in %q: %w", dir, syscall.EROFS)
	}
	return err
}

// immutable reports whether a file or folder is one that not even root renames.
func (r *Root) immutable(name string) bool {
	if info, err := r.lstat(name); err != nil || info == nil || !info.Mode().IsRegular() && !info.IsDir() {
		return false
	}
	f, err := r.root.Open(rel(name))
	if err != nil {
		return false // what cannot be opened is said where it is read
	}
	defer f.Close()
	return isImmutable(f)
}

// free is how many bytes are free where a name stands, or would.
func (r *Root) free(name string) (int64, error) {
	for !r.exists(name) && name != "/" {
		name = path.Dir(name)
	}
	f, err := r.root.Open(rel(name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	free, _, err := fileSystem(f)
	return free, err
}

// setTime gives a folder back the time of its last change.
func (r *Root) setTime(name string, at time.Time) error {
	return r.root.Chtimes(rel(name), time.Time{}, at)
}
