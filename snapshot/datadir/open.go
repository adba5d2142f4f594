package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	etcddatadir "go.etcd.io/etcd/server/v3/storage/datadir"
)

// Open finds the data dir at path, or just above it: operators also name the
// member folder, or snap. Copies of those under other names are told by what
// stands in them.
func Open(path string) (*Dir, error) {
	for _, dir := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		found, err := isFile(etcddatadir.ToBackendFileName(dir))
		if found || err != nil {
			return &Dir{Path: dir}, err
		}
		if filepath.Base(dir) != "snap" && filepath.Base(dir) != "member" {
			break
		}
	}
	if began(filepath.Dir(etcddatadir.ToSnapDir(path))) {
		return &Dir{Path: path}, nil
	}
	for _, d := range []*Dir{
		{Path: path, member: path},
		{Path: path, database: filepath.Join(path, "db"), wal: filepath.Join(path, "wal")},
		{Path: path, database: filepath.Join(path, "db"), wal: filepath.Join(filepath.Dir(path), "wal")},
		{Path: path, database: filepath.Join(path, "db"), wal: path},
	} {
		found, err := isFile(d.Database())
		if err != nil {
			return nil, err
		}
		if segments, _ := segmentsOf(d.WAL()); found && (d.member != "" || len(segments) > 0) {
			return d, nil
		}
	}
	if folder, _ := isFolder(filepath.Join(path, "snap")); folder && began(path) {
		return &Dir{Path: path, member: path}, nil
	}
	return nil, fmt.Errorf("opening %q: %w: %s", path, ErrNotDataDir, whatIsIn(path))
}

// began reports whether a member folder is that of a member without a database:
// its log is there all the same, or there is nothing yet. etcd makes the
// folders first, then the database, and the log after it (etcd
// server/etcdserver/bootstrap.go).
func began(member string) bool {
	if folder, err := isFolder(member); err != nil || !folder {
		return false
	}
	if segments, _ := segmentsOf(filepath.Join(member, "wal")); len(segments) > 0 {
		return true
	}
	files, err := filesOf(member)
	return err == nil && len(files) == 0
}

// IsEmpty reports whether a path is a folder with nothing in it: a member's data
// dir before etcd wrote to it, or a mount point without its mount.
func IsEmpty(path string) bool {
	entries, err := os.ReadDir(path)
	return err == nil && len(entries) == 0
}

// Unborn is the survey of a folder with nothing in it: it gives no evidence.
func Unborn(path string) *Survivor {
	d := &Dir{Path: path}
	return &Survivor{Dir: d, Log: &Log{}, Database: d.Database(), DatabaseErr: ErrNoDatabase, Newborn: true}
}

// LogElsewhere looks for a write-ahead log near a dir that has none in its place:
// in another folder of it, or in one beside it that is named after it.
func (d *Dir) LogElsewhere() []string {
	var found []string
	look := func(pattern string) {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range folders {
			if segments, err := segmentsOf(folder); err == nil && len(segments) > 0 && folder != d.WAL() && !slices.Contains(found, folder) {
				found = append(found, folder)
			}
		}
	}
	look(filepath.Join(globbed(d.memberDir()), "*"))
	look(filepath.Join(globbed(d.Path), "*"))
	look(filepath.Join(globbed(filepath.Dir(filepath.Clean(d.Path))), globbed(filepath.Base(d.Path))+"?wal*"))
	return found
}

// databasesBeside are the other files where the database should be.
func (s *Survivor) databasesBeside() []string {
	entries, _ := os.ReadDir(filepath.Dir(s.Database))
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) != ".snap" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Beside is the data dir that a database file is part of: its name is db, and a
// write-ahead log stands where etcd has it, or beside the file. log is a folder
// with a log near a file of another name, "" for none.
func Beside(file string) (dir *Dir, log string) {
	folder := filepath.Dir(file)
	if real, err := filepath.EvalSymlinks(file); err == nil {
		folder = filepath.Dir(real)
	}
	for _, wal := range []string{filepath.Join(filepath.Dir(folder), "wal"), filepath.Join(folder, "wal"), folder} {
		segments, err := segmentsOf(wal)
		if err != nil || len(segments) == 0 {
			continue
		}
		if filepath.Base(file) != "db" {
			return nil, wal
		}
		return &Dir{Path: folder, database: file, wal: wal}, wal
	}
	return nil, ""
}

func isFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, syscall.ENOTDIR) {
		return false, err
	}
	return err == nil && info.Mode().IsRegular(), nil
}

func isFolder(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return err == nil && info.IsDir(), nil
}

// globbed is a path as a pattern that matches itself.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// whatIsIn says what a folder is when it is no data dir, with the next step.
func whatIsIn(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case err == nil && !info.IsDir():
		return "it is no folder"
	}
	if segments, _ := segmentsOf(path); len(segments) > 0 {
		return "it holds a write-ahead log alone: name the member's data dir, and this folder with --src-wal-dir"
	}
	if file, _ := isFile(filepath.Join(path, "db")); file {
		return "it holds a database without a write-ahead log: name the file " + fmt.Sprintf("%q", filepath.Join(path, "db"))
	}
	var inside []string
	below, _ := filepath.Glob(filepath.Join(globbed(path), "*"))
	deeper, _ := filepath.Glob(filepath.Join(globbed(path), "*", "*")) // kOps: data/TOKEN
	for _, below := range append(below, deeper...) {
		whole, _ := isFile(etcddatadir.ToBackendFileName(below))
		member, _ := isFile(filepath.Join(below, "snap", "db"))
		if whole || member {
			inside = append(inside, fmt.Sprintf("%q", below))
		}
	}
	if len(inside) > 0 {
		return "data dirs stand in it, name one of them: " + strings.Join(inside, ", ")
	}
	return "there is no " + filepath.Join("member", "snap", "db") + " in it"
}
