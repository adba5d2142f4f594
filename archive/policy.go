package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
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
	name, err := cleanName(r.relative(h.Name, offset))
	if errors.Is(err, errOddName) {
		r.note(OddName, h.Name, offset, "has "+err.Error()+" and was left out")
		return nil, nil
	}
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
	kind := aFile
	if h.Typeflag == tar.TypeDir {
		kind = aFolder
	}
	again, err := r.names.add(name, kind)
	if err != nil {
		return refuse("%v", err)
	}
	e := newEntry(h, name, r.number, offset)
	e.Again = again && kind == aFile
	if e.Again {
		r.repeated(name, offset)
	}
	return e, nil
}

// note takes down a fact of the entry that is being admitted. name is escaped by
// whoever prints it.
func (r *Reader) note(code FactCode, name string, offset int64, detail string) {
	const most = 1000 // a hostile archive has entries without end
	if len(r.facts) < most {
		r.facts = append(r.facts, Fact{Code: code, Entry: name, Number: r.number, Offset: offset, Detail: detail})
	}
}

// relative takes the slash off an absolute name, as tar does without -P.
func (r *Reader) relative(name string, offset int64) string {
	rest := strings.TrimLeft(name, "/")
	if rest == name || rest == "" {
		return name
	}
	if !r.absolute {
		r.absolute = true
		r.note(MadeRelative, name, offset, "has an absolute name, as tar -P writes it: this and all others are taken without the slash")
	}
	return rest
}

// repeated takes down that a name comes again: one fact for all of them.
func (r *Reader) repeated(name string, offset int64) {
	if r.again++; r.again == 1 {
		r.note(Repeated, name, offset, "")
		r.againFact = len(r.facts) - 1
	}
	detail := "comes more than once: the last one counts"
	if r.again > 1 {
		detail = fmt.Sprintf("and %d more come more than once: the last one of each counts", r.again-1)
	}
	r.facts[r.againFact].Detail = detail
}

func newEntry(h *tar.Header, name string, number int, offset int64) *Entry {
	e := &Entry{
		Name: name, Kind: Other, Size: h.Size, Mode: h.FileInfo().Mode() &^ fs.ModeType,
		UID: h.Uid, GID: h.Gid, Number: number, Offset: offset, Typeflag: h.Typeflag,
	}
	e.Sparse = h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != ""
	if year := h.ModTime.UTC().Year(); year >= 1 && year <= 9999 { // encoding/json refuses others
		e.ModTime = h.ModTime
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
	link := Link{Name: name, Target: h.Linkname, Hard: h.Typeflag == tar.TypeLink}
	if link.Hard {
		to, err := cleanName(strings.TrimLeft(h.Linkname, "/"))
		if err != nil {
			return refuse("a hard link that leaves the archive")
		}
		link.Target = to
	}
	again, err := r.names.add(name, aLink)
	if err != nil {
		return refuse(err.Error())
	}
	if again {
		r.links = slices.DeleteFunc(r.links, func(l Link) bool { return l.Name == name })
		r.repeated(name, offset)
	}
	r.links = append(r.links, link)
	if link.Hard {
		r.note(HardLink, name, offset, fmt.Sprintf("is a hard link to %.200q: one file with two names", link.Target))
	} else {
		r.note(SkippedLink, name, offset, fmt.Sprintf("is a symbolic link to %.200q and was not followed", h.Linkname))
	}
	return nil
}

// errOddName is in the errors for names that nobody can show or type.
var errOddName = errors.New("that cannot be shown")

func oddName(why string) error { return fmt.Errorf("a name %w: %s", errOddName, why) }

// cleanName turns a tar name into the one form that all of Lifeboat uses.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("an entry without a name")
	case len(name) > maxName:
		return "", fmt.Errorf("a name longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "", oddName("it is not UTF-8")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("an absolute name")
	case strings.Count(name, "/") > maxDepth:
		return "", fmt.Errorf("a name more than %d folders deep", maxDepth)
	}
	// Not printable: control characters, which a terminal obeys, and the
	// invisible ones that make two names look alike.
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return "", oddName("it has control or invisible characters")
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("a name with ..") //nolint:revive // the dots are what is meant
		}
	}
	return path.Clean(name), nil
}

// nameKind is what stands under a name.
type nameKind byte

const (
	aFolder nameKind = iota + 1
	aFile
	aLink
)

// names are the entries met.
type names map[string]nameKind

// add refuses what programs would unpack differently: a name of two kinds, a
// path through a file or a link. again says that the name came before.
func (n names) add(name string, kind nameKind) (again bool, err error) {
	if was, met := n[name]; met {
		if was != kind {
			return false, errors.New("a name that was there before, as something else")
		}
		return true, nil
	}
	n[name] = kind
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		above, met := n[parent]
		if met && above != aFolder {
			return false, errors.New("a name that leads through a file or a link")
		}
		if met {
			break
		}
		n[parent] = aFolder
	}
	return false, nil
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
