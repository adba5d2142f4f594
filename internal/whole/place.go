package whole

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Place is where a target and its parts stand. All paths are absolute.
type Place struct {
	Final string // what comes into being by the last rename; the real path where the target is a link
	Part  string // the folder in which it is built
	Data  string // the file or folder to be built, in Part
	Aside string // where what stands at Final goes, "" for nowhere

	built  string // what is renamed to Final: Data, or the entry in it
	inside bool   // Final is an entry of a folder that stays
	exists bool   // something stands at Final
}

// Root is the folder that the target names: Final, or the folder that it is an
// entry of.
func (p Place) Root() string {
	if p.inside {
		return filepath.Dir(p.Final)
	}
	return p.Final
}

const (
	partSuffix  = ".part"
	asideSuffix = ".old-"
	asideTime   = "20060102T150405Z"
	dataName    = "data"
)

// PlanDir says where a folder would be built, and changes nothing. What it says
// of Aside holds until somebody takes the name.
func PlanDir(target string, opts Options) (Place, error) {
	path, err := resolve(target, opts)
	if err != nil {
		return Place{}, err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return placeAt(path), nil
	}
	if err != nil {
		return Place{}, err
	}
	if opts.Existing == Overwrite {
		return Place{}, errors.New("a folder is not overwritten: it is moved aside")
	}
	if opts.Existing == Refuse && (opts.Inside == "" || !info.IsDir()) {
		return Place{}, about(path, ErrExists)
	}
	if !info.IsDir() {
		return Place{}, fmt.Errorf("%q is not a folder: %w", path, ErrExists)
	}
	mount, err := isMount(path)
	if err != nil {
		return Place{}, err
	}
	if opts.Inside == "" && mount {
		return Place{}, fmt.Errorf("%q is a mount point, which cannot be replaced: %w", path, ErrExists)
	}
	if opts.Inside != "" {
		content, err := contentOf(path, opts.Inside)
		if err != nil {
			return Place{}, err
		}
		switch {
		case len(content) == 0 || mount && opts.Existing != Refuse:
			return placeInside(path, opts)
		case opts.Existing == Refuse:
			return Place{}, fmt.Errorf("%q already holds %q: %w", path, content[0], fs.ErrExist)
		}
	}
	return placeAt(path).over(opts)
}

// planFile is PlanDir for a file.
func planFile(target string, opts Options) (Place, error) {
	path, err := resolve(target, opts)
	if err != nil {
		return Place{}, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return placeAt(path), nil
	case err != nil:
		return Place{}, err
	case opts.Existing == Refuse:
		return Place{}, about(path, ErrExists)
	case !info.Mode().IsRegular():
		return Place{}, fmt.Errorf("%q is not a regular file and is not replaced: %w", path, ErrExists)
	}
	if mount, err := isMount(path); err != nil || mount {
		return Place{}, errors.Join(err, fmt.Errorf("%q is a mount point, which cannot be replaced: %w", path, ErrExists))
	}
	return placeAt(path).over(opts)
}

// placeAt is the place of what comes into being as a whole.
func placeAt(path string) Place {
	data := filepath.Join(path+partSuffix, dataName)
	return Place{Final: path, Part: path + partSuffix, Data: data, built: data}
}

// placeInside is the place of an entry of a folder that stays.
func placeInside(folder string, opts Options) (Place, error) {
	p := placeAt(filepath.Join(folder, opts.Inside))
	p.built, p.inside = filepath.Join(p.Data, opts.Inside), true
	if _, err := os.Lstat(p.Final); errors.Is(err, fs.ErrNotExist) {
		return p, nil
	} else if err != nil {
		return Place{}, err
	}
	return p.over(opts)
}

// over is the place of what stands in another one's.
func (p Place) over(opts Options) (_ Place, err error) {
	p.exists = true
	if opts.Existing == MoveAside {
		p.Aside, err = freeAside(p.Final, opts.Now)
	}
	return p, err
}

// freeAside is a name for what is moved aside that nobody has. The time has whole
// seconds, because people type it: what comes later in the same one is numbered.
func freeAside(final string, now time.Time) (string, error) {
	if now.IsZero() {
		now = time.Now()
	}
	return numbered(final + asideSuffix + now.UTC().Format(asideTime))
}

// numbered is a name that nobody has: this one, or the first that is free with a
// number behind it.
func numbered(name string) (string, error) {
	for n, path := 2, name; ; n++ {
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		path = name + "-" + strconv.Itoa(n)
	}
}

// resolve is the path at which a target stands. A link is followed where what it
// leads to may be replaced or filled; else the link itself is in the way.
func resolve(target string, opts Options) (string, error) {
	path, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	if name := filepath.Base(path); name == string(filepath.Separator) && opts.Inside == "" {
		return "", about(path, ErrExists)
	}
	if opts.Existing == Refuse && opts.Inside == "" {
		return path, nil
	}
	const links = 40 // as the kernel follows
	for range links {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return path, err
		}
		next, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(path), next)
		}
		folder, err := filepath.EvalSymlinks(filepath.Dir(next))
		if err != nil {
			return "", fmt.Errorf("%q is a link to %q: %w", path, next, err)
		}
		path = filepath.Join(folder, filepath.Base(next))
	}
	return "", fmt.Errorf("%q leads over more than %d links", target, links)
}

// contentOf lists what stands in a folder besides what a file system makes by
// itself and what a build in it left.
func contentOf(dir, inside string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" && e.Name() != inside+partSuffix {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Scratch is a folder on the file system that a target will stand on: the target
// itself where it is a mount point, else the nearest folder above it that exists.
func Scratch(target string) string {
	path, err := resolve(target, Options{Existing: MoveAside})
	if err != nil {
		return "."
	}
	if mount, err := isMount(path); err == nil && mount {
		return path
	}
	for path = filepath.Dir(path); ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
	}
}

// otherDevice tells a mount point by its parent, which is on another device or,
// for the root, the same folder.
func otherDevice(path string) (bool, error) {
	var own, parent syscall.Stat_t
	if err := syscall.Lstat(path, &own); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := syscall.Stat(filepath.Dir(path), &parent); err != nil {
		return false, &fs.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	return own.Dev != parent.Dev || own.Ino == parent.Ino, nil
}
