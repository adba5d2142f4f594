// Package place is where archives are kept: a folder full of them, or a bucket
// (package bucket), of one cluster or of forty.
//
//	folder, err := place.OpenFolder("/mnt/backups")
//	archives, err := folder.List(ctx)                 // by name
//	decisions := policy.Apply(facts)                   // what may go, and why the rest stays
//
// Archives stay what they are, files that age and tar open. The package knows
// their names, sizes and places, and decides by plain facts (a cluster, a
// revision, a time) that somebody else has read out of them.
//
// What a place says of itself is not believed: names that could lead out of it
// are not listed, and what is opened has to be what was listed.
package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrEmpty is wrapped by errors about a place without an archive in it.
var ErrEmpty = errors.New("there is no archive in it")

// ErrReplaced says that an archive is not the one that was listed any more.
var ErrReplaced = errors.New("it was replaced between the listing and the reading")

// Entry is one archive of a place.
type Entry struct {
	Name    string    // within the place, with slashes
	Path    string    // to name it, and to open it by itself
	Size    int64     // bytes
	ModTime time.Time // when it came there, as the place says
	Version string    // tells this content from another under the same name
	Signed  bool      // a signature stands beside it
	Proof   bool      // a record of a proof stands beside it
}

// Store is a place. Its methods may be called side by side.
type Store interface {
	// Root is the place as an operator names it.
	Root() string
	// List gives the archives by name, those in folders below among them, and
	// none of folders whose names begin with a dot.
	List(ctx context.Context) ([]Entry, error)
	// Open opens an archive that was listed, or gives ErrReplaced.
	Open(ctx context.Context, e Entry) (File, error)
	// Read gives a small file of the place; fs.ErrNotExist where there is none.
	Read(ctx context.Context, name string, limit int64) ([]byte, error)
	// Below gives the names of all files in a folder of the place, none where
	// there is no folder.
	Below(ctx context.Context, folder string) ([]string, error)
	// Put writes a file whole or not at all; fs.ErrExist where there is one.
	Put(ctx context.Context, name string, content io.Reader) error
	// Replace writes a small file below .lifeboat, over an older one. It may be
	// lost at any time, and who reads it has to see by itself whether it is whole.
	Replace(ctx context.Context, name string, content []byte) error
	// Locked says why an archive cannot be removed yet, "" when it can.
	Locked(ctx context.Context, e Entry) (string, error)
	// Remove deletes an archive and the signature beside it.
	Remove(ctx context.Context, e Entry) error
}

// File is an archive, open.
type File interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// From gives what an archive holds from an offset on, before anything is read of
// it.
func From(f File, offset int64) (io.Reader, error) {
	if s, ok := f.(io.Seeker); ok {
		_, err := s.Seek(offset, io.SeekStart)
		return f, err
	}
	return io.NewSectionReader(f, offset, 1<<62-offset), nil
}

// suffixes are the endings of archives' names. A place holds other things, too;
// what they are is told by their bytes when they are opened.
var suffixes = []string{".tar", ".tar.gz", ".tgz", ".tar.zst"}

// SignatureSuffix is what minisign appends to a file's name.
const SignatureSuffix = ".minisig"

// ProofSuffix is what the name of an archive's proof adds to the archive's.
const ProofSuffix = ".proof.json"

// IsArchive reports whether a name is one of an archive.
func IsArchive(name string) bool {
	base := strings.TrimSuffix(path.Base(name), ".age")
	return !strings.HasPrefix(base, ".") && slices.ContainsFunc(suffixes, func(s string) bool { return len(base) > len(s) && strings.HasSuffix(base, s) })
}

// CheckName rejects names that lead out of a place, or would steer a terminal.
func CheckName(name string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' }
	if name == "" || len(name) > 1024 || path.Clean("/"+name) != "/"+name || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%q is not a name for a file of a place", name)
	}
	return nil
}

// CheckOwn rejects names that are not of a file of lifeboat's own, which alone may
// be written over.
func CheckOwn(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if !strings.HasPrefix(name, ownFolder+"/") {
		return fmt.Errorf("%q is not a file of lifeboat's own: %w", name, fs.ErrInvalid)
	}
	return nil
}

// ownFolder is where a place keeps what is not the operator's. Its name begins
// with a dot, so it is not a part of any listing.
const ownFolder = ".lifeboat"

// hidden reports whether a name is in a folder that is not the operator's: of a
// file system (.snapshot, .Trash), or the ledger.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && part != ".." {
			return true
		}
	}
	return false
}

// listed makes a list of what a place holds: archives alone, by name, each
// knowing what stands beside it.
func listed(all []Entry) []Entry {
	there := map[string]bool{}
	for _, e := range all {
		there[e.Name] = true
	}
	var entries []Entry
	for _, e := range all {
		if !hidden(e.Name) && IsArchive(e.Name) {
			e.Signed, e.Proof = there[e.Name+SignatureSuffix], there[e.Name+ProofSuffix]
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// Listed is List's answer from all files that a place says it holds. A listing
// that lies, with names that lead elsewhere, names twice or sizes that cannot be,
// is an error.
func Listed(all []Entry) ([]Entry, error) {
	seen := map[string]bool{}
	for _, e := range all {
		if hidden(e.Name) || !IsArchive(strings.TrimSuffix(e.Name, SignatureSuffix)) {
			continue
		}
		if err := CheckName(e.Name); err != nil {
			return nil, err
		}
		if seen[e.Name] || e.Size < 0 {
			return nil, fmt.Errorf("%q is listed twice, or with a size that cannot be", e.Name)
		}
		seen[e.Name] = true
	}
	return listed(all), nil
}
