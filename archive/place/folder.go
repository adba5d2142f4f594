package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// Folder is a place in a file system, which may be mounted read-only.
type Folder struct{ root string }

var _ Store = (*Folder)(nil)

// OpenFolder opens a folder of archives. An error wraps fs.ErrInvalid when the
// path is not a folder.
func OpenFolder(path string) (*Folder, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return &Folder{root: path}, nil
}

// Root is the folder's path.
func (f *Folder) Root() string { return f.root }

// List gives the archives. A link, such as latest, is not a second archive. Folders
// that cannot be read are an error: what is pruned or verified must not depend
// on what somebody may not see.
func (f *Folder) List(ctx context.Context) ([]Entry, error) {
	var all []Entry
	err := filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && path != f.root && (strings.HasPrefix(d.Name(), ".") || strings.HasSuffix(d.Name(), ".part")):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(f.root, path)
		all = append(all, Entry{Name: filepath.ToSlash(name), Path: path, Size: info.Size(), ModTime: info.ModTime(), Version: version(info)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", f.root, err)
	}
	return listed(all), nil
}

// Entry gives what List would say of a file by its name, whatever it is.
func (f *Folder) Entry(name string) (Entry, error) {
	path, err := f.path(name)
	if err != nil {
		return Entry{}, err
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q: %w: it is not a file", name, fs.ErrInvalid)
	}
	if err != nil {
		return Entry{}, err
	}
	_, unsigned := os.Stat(path + SignatureSuffix)
	return Entry{Name: name, Path: path, Size: info.Size(), ModTime: info.ModTime(), Version: version(info), Signed: unsigned == nil}, nil
}

func version(info fs.FileInfo) string {
	return fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano())
}

// Open opens an archive.
func (f *Folder) Open(_ context.Context, e Entry) (File, error) {
	path, err := f.path(e.Name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && version(info) != e.Version {
		err = ErrReplaced
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Read gives a small file.
func (f *Folder) Read(_ context.Context, name string, limit int64) ([]byte, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadSmall(file, name, limit)
}

// ReadSmall reads what must not be longer than limit.
func ReadSmall(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%q is longer than %d bytes", name, limit)
	}
	return data, err
}

// Below gives the names of all files in a folder.
func (f *Folder) Below(ctx context.Context, folder string) ([]string, error) {
	path, err := f.path(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	err = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && strings.HasSuffix(d.Name(), ".part"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		name, err := filepath.Rel(f.root, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// Put writes a file, 0600, and the folders above it.
func (f *Folder) Put(ctx context.Context, name string, content io.Reader) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := newFile(ctx, path)
	if err != nil {
		return err
	}
	if _, err := file.ReadFrom(ctxio.Reader(ctx, content)); err != nil {
		return errors.Join(err, file.Discard())
	}
	return file.Commit()
}

// Replace writes a small file, 0600. No link on the way to it is followed out of
// the folder, and a folder that nobody may write to stays as it is.
func (f *Folder) Replace(_ context.Context, name string, content []byte) error {
	if err := CheckOwn(name); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err == nil && info.Mode().Perm()&0o222 == 0 {
		err = &fs.PathError{Op: "write", Path: f.root, Err: fs.ErrPermission} // root, too, is told
	}
	if err != nil {
		return err
	}
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return err
	}
	scratch := local + ".new"
	if err := root.Remove(scratch); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := root.OpenFile(scratch, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return root.Rename(scratch, local)
}

// newFile waits for another process that is about to write the same file: after
// it, there is one.
func newFile(ctx context.Context, path string) (*whole.File, error) {
	for range 200 {
		file, err := whole.NewFile(path, whole.Options{})
		if !errors.Is(err, whole.ErrInUse) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return whole.NewFile(path, whole.Options{})
}

// Locked is "": what holds a file in a folder shows when it is removed.
func (f *Folder) Locked(context.Context, Entry) (string, error) { return "", nil }

// path is where a file of the place stands.
func (f *Folder) path(name string) (string, error) {
	if err := CheckName(name); err != nil || !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	return filepath.Join(f.root, filepath.FromSlash(name)), nil
}
