package lifeboat

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
)

// OpenPlace opens a folder of archives, or a bucket of them:
// s3://BUCKET/PREFIX. Nothing here speaks to a network but for the latter.
func OpenPlace(ctx context.Context, path string) (place.Store, error) {
	if bucket.Is(path) {
		return bucket.Open(ctx, path)
	}
	return place.OpenFolder(path)
}

// source is a file that is opened, wherever it is.
type source struct {
	place.File
	size    int64
	modTime time.Time
	regular bool     // it has a size, and can be read at any place
	disk    *os.File // nil for one in a bucket
}

// raw opens the source as it stands. The caller closes it.
func (o *opener) raw(ctx context.Context) (*source, error) {
	if o.listed == nil {
		file, err := os.Open(o.src.path)
		if err != nil {
			return nil, err
		}
		return sourceOf(file)
	}
	file, err := o.store.Open(ctx, *o.listed)
	if err != nil {
		return nil, err
	}
	if disk, ok := file.(*os.File); ok {
		return sourceOf(disk)
	}
	return &source{File: file, size: o.listed.Size, modTime: o.listed.ModTime, regular: true}, nil
}

func sourceOf(file *os.File) (*source, error) {
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: file.Name(), Err: errIsFolder}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &source{file, info.Size(), info.ModTime(), info.Mode().IsRegular(), file}, nil
}

var errIsFolder = errors.New("it is a folder")

// newOpenerIn opens an archive of a place.
func newOpenerIn(store place.Store, e place.Entry, opts Options) *opener {
	o := newOpener(e.Path, opts)
	o.store, o.listed = store, &e
	return o
}

// locate finds a source that is in a bucket.
func (o *opener) locate(ctx context.Context) error {
	if o.listed != nil || !bucket.Is(o.src.path) {
		return nil
	}
	store, e, err := bucket.Find(ctx, o.src.path)
	if err != nil {
		return err
	}
	o.store, o.listed = store, &e
	return nil
}

// IsPlace tells a place of archives from a source, by its path: a bucket, unless
// the URL is that of an archive, and a folder that is no data dir of etcd.
func IsPlace(path string) bool {
	if bucket.Is(path) {
		return strings.HasSuffix(path, "/") || !place.IsArchive(path)
	}
	info, err := os.Stat(path)
	if path == "-" || err != nil || !info.IsDir() {
		return false
	}
	has := func(name string) bool {
		info, err := os.Stat(filepath.Join(path, name))
		return err == nil && info.IsDir()
	}
	return !has("member") && !(has("snap") && has("wal"))
}
