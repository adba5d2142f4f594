package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const blockSize = 512 // of tar

// admit decides about one header: an entry, nothing (passed over), or a
// refusal of the whole archive.
func (r *Reader) admit(h *tar.Header, offset int64) (*Entry, error) {
	r.number++
	refuse := func(format string, args ...any) (*Entry, error) {
		return nil, &PolicyError{Entry: h.Name, Number: r.number, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
	if r.number > r.limits.MaxEntries {
		return refuse("it has more than %d entries", r.limits.MaxEntries)
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		if changesEntries(h.PAXRecords) {
			return refuse("a global PAX header, which programs apply in different ways")
		}
		return nil, nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return refuse("%v", err)
	}
	if r.logical += h.Size; r.logical > r.limits.MaxBytes || r.logical < 0 {
		return refuse("with this entry it unpacks to more than %d bytes", r.limits.MaxBytes)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if name == "." {
			return nil, nil // tar writes it for `tar c .`
		}
	case tar.TypeReg, tar.TypeGNUSparse:
		if strings.HasSuffix(h.Name, "/") || name == "." {
			return refuse("a file with the name of a folder")
		}
	case tar.TypeSymlink, tar.TypeLink:
		return nil, r.passLink(h, name, offset)
	default:
		return refuse("an entry of type %q: only files, folders and links belong in a backup", h.Typeflag)
	}
	if err := r.names.add(name, h.Typeflag == tar.TypeDir); err != nil {
		return refuse("%v", err)
	}
	return newEntry(h, name, r.number, offset), nil
}

func newEntry(h *tar.Header, name string, number int, offset int64) *Entry {
	e := &Entry{
		Name: name, Kind: Other, Size: h.Size, Mode: h.FileInfo().Mode() &^ fs.ModeType,
		UID: h.Uid, GID: h.Gid, Number: number, Offset: offset, Typeflag: h.Typeflag,
	}
	if year := h.ModTime.UTC().Year(); year >= 1 && year <= 9999 {
		e.ModTime = h.ModTime
	} else {
		e.ModTime = time.Time{} // encoding/json refuses such years
	}
	switch {
	case h.Typeflag == tar.TypeDir:
		e.Kind, e.Size = Directory, 0
		e.Mode |= fs.ModeDir
	case inFiles(name):
		e.Kind = Kubernetes
	}
	return e
}

// passLink notes a link. /etc/kubernetes holds some in the field (a kubelet's
// client certificate, mounted ConfigMaps), and a latest.db beside the snapshot
// is common, so they are no reason to refuse a backup. None is followed: where
// a link is all that is there, CheckSnapshot names it.
func (r *Reader) passLink(h *tar.Header, name string, offset int64) error {
	refuse := func(reason string) error {
		return &PolicyError{Entry: h.Name, Number: r.number, Offset: offset, Reason: reason}
	}
	kind := "a symbolic link"
	if h.Typeflag == tar.TypeLink {
		kind = "a hard link"
		if _, err := cleanName(h.Linkname); err != nil {
			return refuse("a hard link that leaves the archive")
		}
	}
	if err := r.names.add(name, false); err != nil {
		return refuse(err.Error())
	}
	r.links = append(r.links, Link{Name: name, Target: h.Linkname, Hard: h.Typeflag == tar.TypeLink})
	r.facts = append(r.facts, Fact{Code: SkippedLink, Entry: name, Number: r.number, Offset: offset,
		Detail: fmt.Sprintf("is %s to %.200q and was not followed", kind, h.Linkname)})
	return nil
}

// cleanName turns a tar name into the one form that all of Lifeboat uses.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("an entry without a name")
	case len(name) > maxName:
		return "", fmt.Errorf("a name longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "", errors.New("a name that is not UTF-8")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("an absolute name")
	case strings.Count(name, "/") > maxDepth:
		return "", fmt.Errorf("a name more than %d folders deep", maxDepth)
	}
	// Not printable: control characters, which a terminal obeys, and the
	// invisible ones that make two names look alike.
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return "", errors.New("a name with control or invisible characters")
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("a name with ..") //nolint:revive // the dots are what is meant
		}
	}
	return path.Clean(name), nil
}

// names are the entries met, true for folders.
type names map[string]bool

// add refuses what programs would unpack differently: a name given twice, a
// file in the place of a folder, a path through a file or a link.
func (n names) add(name string, dir bool) error {
	if wasDir, met := n[name]; met && !(wasDir && dir) {
		return errors.New("a name that was there before")
	}
	n[name] = dir
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		isDir, met := n[parent]
		if met && !isDir {
			return errors.New("a name that leads through a file or a link")
		}
		if met {
			break
		}
		n[parent] = true
	}
	return nil
}

// changesEntries tells a global PAX header that matters from the comment that
// `git archive` leaves.
func changesEntries(records map[string]string) bool {
	for key := range records {
		if key != "comment" {
			return true
		}
	}
	return false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
