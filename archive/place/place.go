// Package place is where archives are kept: a folder full of them, of one
// cluster or of forty.
//
//	folder, err := place.OpenFolder("/mnt/backups")
//	archives, err := folder.List(ctx)                 // by name
//	decisions := policy.Apply(facts)                   // what may go, and why the rest stays
//
// Archives stay what they are, files that age and tar open. The package knows
// their names, sizes and places, and decides by plain facts (a cluster, a
// revision, a time) that somebody else has read out of them.
package place

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrEmpty is wrapped by errors about a place without an archive in it.
var ErrEmpty = errors.New("there is no archive in it")

// Entry is one archive of a place.
type Entry struct {
	Name   string // within the place, with slashes
	Path   string // to open it
	Size   int64  // bytes
	Signed bool   // a signature stands beside it
}

// suffixes are the endings of archives' names. A place holds other things, too;
// what they are is told by their bytes when they are opened.
var suffixes = []string{".tar", ".tar.gz", ".tgz", ".tar.zst"}

// signature is what minisign appends to a file's name.
const signature = ".minisig"

// IsArchive reports whether a name is one of an archive.
func IsArchive(name string) bool {
	base := strings.TrimSuffix(filepath.Base(name), ".age")
	return !strings.HasPrefix(base, ".") && slices.ContainsFunc(suffixes, func(s string) bool { return len(base) > len(s) && strings.HasSuffix(base, s) })
}

// Folder is a place in a file system, which may be mounted read-only.
type Folder struct{ root string }

// OpenFolder opens a folder of archives. An error wraps fs.ErrInvalid when the
// path is no folder.
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

// List gives the archives by name, those in folders below among them. A link
// that leads to another archive of the same place, such as latest, is no second
// archive. Folders that cannot be read are an error: what is pruned or verified
// must not depend on what somebody may not see.
func (f *Folder) List(ctx context.Context) ([]Entry, error) {
	var entries []Entry
	signed := map[string]bool{}
	err := filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && path != f.root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir // of a file system or a tool: .snapshot, .Trash
		case !d.Type().IsRegular():
			return nil
		}
		if name, ok := strings.CutSuffix(path, signature); ok {
			signed[name] = true
			return nil
		}
		if !IsArchive(path) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(f.root, path)
		entries = append(entries, Entry{Name: filepath.ToSlash(name), Path: path, Size: info.Size()})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", f.root, err)
	}
	for i, e := range entries {
		entries[i].Signed = signed[e.Path]
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}
