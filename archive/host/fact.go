package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"
)

// ErrChanged says that the host is not as it was when the plan was made, or as
// the run had left it. Nothing was done about it.
var ErrChanged = errors.New("changed since")

// Fact is what a plan takes for granted of one name.
type Fact struct {
	Path   string   `json:"path"`
	Kind   string   `json:"kind"`             // "nothing", "file", "folder", "link" or "other"
	Digest string   `json:"digest,omitempty"` // sha256: a file's content, a link's target, a folder's files by name, size and time
	ID     identity `json:"id"`
	Mode   uint32   `json:"mode,omitempty"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Time   int64    `json:"time,omitempty"` // of the last change, ns since 1970
}

// maxDigest bounds the files whose content a fact holds; of larger ones size
// and time are.
const maxDigest = 4 << 20

// fact looks at a name.
func (r *Root) fact(name string) (Fact, error) {
	f := Fact{Path: name, Kind: "nothing"}
	info, err := r.lstat(name)
	if err != nil || info == nil {
		return f, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return f, fmt.Errorf("%q has no owner", name)
	}
	f.ID, f.Mode, f.UID, f.GID, f.Time = identityOf(info), uint32(info.Mode()), stat.Uid, stat.Gid, info.ModTime().UnixNano()
	sum := sha256.New()
	switch mode := info.Mode(); {
	case mode.IsDir():
		f.Kind, f.Time = "folder", 0
		err = r.digestTree(sum, name)
	case mode.IsRegular():
		f.Kind = "file"
		err = r.digestFile(sum, name, info)
	case mode&fs.ModeSymlink != 0:
		f.Kind = "link"
		var to string
		to, err = r.root.Readlink(rel(name))
		_, _ = io.WriteString(sum, to) // a hash takes all
	default:
		f.Kind = "other"
	}
	f.Digest = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

func (r *Root) digestFile(sum io.Writer, name string, info fs.FileInfo) error {
	if info.Size() > maxDigest {
		fmt.Fprintf(sum, "%d %d\n", info.Size(), info.ModTime().UnixNano())
		return nil
	}
	data, err := r.readFile(name, maxDigest)
	if err != nil {
		return err
	}
	_, err = sum.Write(data)
	return err
}

// digestTree takes in every file below a folder by name, mode, size and time:
// a data dir that etcd has written to meanwhile differs. Folders that runs made
// in a data dir are none of its.
func (r *Root) digestTree(sum io.Writer, dir string) error {
	return fs.WalkDir(r.root.FS(), rel(dir), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			fmt.Fprintf(sum, "%q %v\n", path.Clean(name), info.Mode())
		} else {
			fmt.Fprintf(sum, "%q %v %d %d\n", path.Clean(name), info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
}

// holds compares a fact with the host as it is.
func (r *Root) holds(f Fact) error {
	now, err := r.fact(f.Path)
	if err != nil {
		return err
	}
	if now == f {
		return nil
	}
	switch {
	case now.Kind != f.Kind:
		return fmt.Errorf("%q was %s and is %s: it was %w", f.Path, article(f.Kind), article(now.Kind), ErrChanged)
	case now.Digest != f.Digest:
		return fmt.Errorf("the content of %q was %w", f.Path, ErrChanged)
	}
	return fmt.Errorf("%q, its mode, owner or time, was %w", f.Path, ErrChanged)
}

func article(kind string) string {
	if kind == "nothing" {
		return kind
	}
	return "a " + kind
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// digest is that of a file's content, "" where no readable file stands.
func (r *Root) digest(name string) string {
	info, err := r.lstat(name)
	if err != nil || info == nil || !info.Mode().IsRegular() || info.Size() > maxDigest {
		return ""
	}
	data, err := r.readFile(name, maxDigest)
	if err != nil {
		return ""
	}
	return digestOf(data)
}
