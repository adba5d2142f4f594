// Package controlplane is the kubernetes/ half of a kube-backup archive, the
// copy of /etc/kubernetes: static Pod manifests, PKI, kubeconfigs and the
// EncryptionConfiguration, read without writing a file anywhere.
//
//	b := controlplane.New()
//	err := b.Add("kubernetes/manifests/etcd.yaml", r) // for every such entry
//	view := b.View()
//	prefix := view.EtcdPrefix()
//	config, err := view.EncryptionConfig()
//
// A View answers what the snapshot cannot say about itself: under which prefix
// kube-apiserver stored its objects, with which keys it encrypted them, which
// version it was, and when the certificates end. Whatever is missing or
// malformed is a Problem, never a panic and never a reason to give up on the
// rest.
//
// The files hold private keys. No error and no Problem shows any content.
package controlplane

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// The bounds of a View. /etc/kubernetes of a real control plane has some
// hundred files and well under 1 MiB.
const (
	MaxFile  = 1 << 20
	MaxFiles = 4096
	MaxTotal = 64 << 20
)

// Builder collects the files of a View.
type Builder struct {
	view  *View
	links map[string]archive.Link
	total int
}

// View is the kubernetes/ folder of a backup. It is an fs.FS whose names are
// those of the archive ("kubernetes/pki/ca.crt"), and safe for concurrent use.
type View struct {
	files    map[string]*file
	problems []Problem
	pods     []manifest
}

// Problem is something about one file that the operator has to know.
type Problem struct {
	Path   string `json:"path"`   // inside the backup; escape it before it reaches a terminal
	Detail string `json:"detail"` // for people; holds no content of the file
}

// file is one file of a View.
type file struct {
	name string // base name
	data []byte
	link bool // another name of it, which a link gives
}

// New returns an empty Builder.
func New() *Builder {
	return &Builder{view: &View{files: map[string]*file{}}, links: map[string]archive.Link{}}
}

// Add reads one file. The name is the archive's, cleaned: archive.Entry.Name.
// A file that is too large, or one too many, is left out and becomes a
// Problem; errors are those of r and of names that are no path.
func (b *Builder) Add(name string, r io.Reader) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("adding %.200q: %w", name, fs.ErrInvalid)
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return fmt.Errorf("reading %.200q: %w", name, err)
	}
	switch {
	case len(data) > MaxFile:
		b.leaveOut(name, "is larger than 1 MiB")
	case len(b.view.files) == MaxFiles:
		b.leaveOut(name, "is one of more than 4096 files")
	case b.total+len(data) > MaxTotal:
		b.leaveOut(name, "would make the folder larger than 64 MiB")
	default:
		b.view.files[name] = &file{name: path.Base(name), data: data}
		b.total += len(data)
	}
	return nil
}

func (b *Builder) leaveOut(name, reason string) {
	if len(b.view.problems) < MaxFiles {
		b.view.problems = append(b.view.problems, Problem{name, reason + " and was left out"})
	}
}

// View ends the building: links are followed, the manifests read.
func (b *Builder) View() *View {
	v := b.view
	b.view = nil
	v.follow(b.links)
	v.readManifests()
	return v
}

// Empty tells that the backup has no kubernetes/ folder, or nothing in it.
func (v *View) Empty() bool { return len(v.files) == 0 }

// Problems lists what could not be kept or read, by path.
func (v *View) Problems() []Problem { return v.problems }

// Files lists all names, sorted, those that links give among them.
func (v *View) Files() []string {
	names := make([]string, 0, len(v.files))
	for name := range v.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ReadFile gives a copy of a file's content.
func (v *View) ReadFile(name string) ([]byte, error) {
	f, ok := v.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return bytes.Clone(f.data), nil
}

// Open opens a file or a folder.
func (v *View) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if f, ok := v.files[name]; ok {
		return &openFile{info: f, Reader: bytes.NewReader(f.data)}, nil
	}
	entries := v.list(name)
	if len(entries) == 0 && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openDir{info: dirInfo(path.Base(name)), entries: entries}, nil
}

// list gives the entries of a folder, sorted. Folders exist through the files
// in them.
func (v *View) list(dir string) []fs.DirEntry {
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	var entries []fs.DirEntry
	seen := map[string]bool{}
	for _, name := range v.Files() {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		first, _, deeper := strings.Cut(rest, "/")
		switch {
		case !deeper:
			entries = append(entries, fs.FileInfoToDirEntry(v.files[name]))
		case !seen[first]:
			seen[first] = true
			entries = append(entries, fs.FileInfoToDirEntry(dirInfo(first)))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// file is its own fs.FileInfo. Whatever the mode in the archive, nobody but
// the owner has business with these files.
func (f *file) Name() string       { return f.name }
func (f *file) Size() int64        { return int64(len(f.data)) }
func (f *file) Mode() fs.FileMode  { return 0o400 }
func (f *file) ModTime() time.Time { return time.Time{} }
func (f *file) IsDir() bool        { return false }
func (f *file) Sys() any           { return nil }

// dirInfo is the fs.FileInfo of a folder of that name.
type dirInfo string

func (d dirInfo) Name() string       { return string(d) }
func (d dirInfo) Size() int64        { return 0 }
func (d dirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o500 }
func (d dirInfo) ModTime() time.Time { return time.Time{} }
func (d dirInfo) IsDir() bool        { return true }
func (d dirInfo) Sys() any           { return nil }

type openFile struct {
	info *file
	*bytes.Reader
}

func (o *openFile) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openFile) Close() error               { return nil }

type openDir struct {
	info    dirInfo
	entries []fs.DirEntry
}

func (o *openDir) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openDir) Close() error               { return nil }
func (o *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: string(o.info), Err: fs.ErrInvalid}
}

// ReadDir gives the next n entries, all for n <= 0.
func (o *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(o.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(o.entries) {
		n = len(o.entries)
	}
	entries := o.entries[:n:n]
	o.entries = o.entries[n:]
	return entries, nil
}
