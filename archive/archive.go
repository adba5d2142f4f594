// Package archive reads and writes kube-backup archives: a tar file, mostly
// compressed, that holds an etcd snapshot and a copy of /etc/kubernetes.
//
//	r, err := archive.NewReader(src, archive.Limits{})
//	for {
//		entry, err := r.Next()
//		if err == io.EOF {
//			break // only now is everything read before known to be whole
//		}
//		...
//		io.Copy(dst, r) // the entry's content
//	}
//
// Archives are told by their bytes, never by a name: Detect says what a stream
// is, Entry.Kind what an entry is. The snapshot is the entry that begins as an
// etcd database does, under whatever name, except that a database among the
// files of kubernetes/ stands back behind any other.
//
// Reading to tar's end proves nothing: the checksums stand behind it. Next
// therefore gives io.EOF only after each layer was read to its end: tar's two
// zero blocks and nothing but zeros after them, gzip's CRC and length or
// zstd's checksum, and io.EOF of src itself, which for an age file is the
// authentication of its last chunk.
//
// Write makes an archive, Unpack takes one apart into a folder. What Write
// makes, tar and gzip or zstd open as well; a page for people stands first in
// it, a Manifest with a digest of every entry last.
//
// An archive may come from anyone who knows a public key. What could do harm
// (names that leave the archive, devices, a file in the place of a folder,
// bombs) is refused with a *PolicyError. Entries whose names would write to a
// terminal are left out, links are not followed, and of entries with one name
// the last counts, as with tar: each of these is reported as a Fact.
package archive

import (
	"io/fs"
	"time"
)

// Limits bound what reading may cost. A zero field takes its default. They
// are absolute: a ratio would refuse a snapshot full of zero pages and admit a
// large bomb.
type Limits struct {
	MaxBytes   int64 // sum of everything unpacked, tar's own blocks included; 64 GiB
	MaxEntries int   // 16384

	// Beginning says that the first entry is all that is wanted: nothing is
	// unpacked ahead of what is read.
	Beginning bool
}

// The bounds that nobody had to change yet. Window is the zstd window, and
// with it the memory that decompression takes; zstd's own tool refuses more
// than 128 MiB as well unless it is told otherwise.
const (
	defaultMaxBytes   = 64 << 30
	defaultMaxEntries = 16384
	maxWindow         = 128 << 20
	maxName           = 1024    // bytes of an entry's name
	maxDepth          = 32      // folders in it: each is remembered
	maxHeaders        = 4 << 20 // bytes of tar headers before one entry
)

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultMaxBytes
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = defaultMaxEntries
	}
	return l
}

// Kind is the part that an entry plays in a backup.
type Kind string

// The kinds of entries. A database is a Snapshot wherever it stands but under
// kubernetes/.
const (
	Snapshot   Kind = "snapshot"   // begins as an etcd database
	Kubernetes Kind = "kubernetes" // a file under kubernetes/, databases among them
	Other      Kind = "other"      // any other file
	Directory  Kind = "directory"
)

// Entry is one file or folder of an archive.
type Entry struct {
	Name   string // cleaned, relative, slashes: "kubernetes/pki/ca.crt"
	Kind   Kind
	Format Format // what the content is, told by its first bytes; "" for a Directory
	Inside Format // what a gzip or zstd file unpacks to, where that is a database; "" else
	Sparse bool   // it was packed with holes
	Again  bool   // an entry of this name came before: this one counts, as after tar -r

	Size     int64       // bytes of content
	Mode     fs.FileMode // as in the archive
	ModTime  time.Time   // zero when it lies outside of the years 1 to 9999
	UID, GID int         // as in the archive, unchecked
	Number   int         // position in the archive, from 1
	Offset   int64       // of its header in the unpacked tar stream
	Typeflag byte        // archive/tar's
}

// Link is a symbolic or hard link that was passed over.
type Link struct {
	Name   string // cleaned
	Target string // as in the archive
	Hard   bool
}

// Fact is something about an archive that the operator has to know and that
// does not stop the reading.
type Fact struct {
	Code   FactCode `json:"code"`
	Entry  string   `json:"entry"` // cleaned name; escape it before it reaches a terminal
	Number int      `json:"number"`
	Offset int64    `json:"offset"`
	Detail string   `json:"detail"` // for people; holds no content of the entry
}

// FactCode is the kind of a Fact, stable for machines.
type FactCode string

// The facts that reading can find.
const (
	SkippedLink   FactCode = "skipped-link"   // a symbolic link: not followed
	HardLink      FactCode = "hard-link"      // another name of an entry that came before
	OddName       FactCode = "odd-name"       // the name cannot be shown or typed: left out
	MadeRelative  FactCode = "made-relative"  // absolute names, as tar -P writes them
	Repeated      FactCode = "repeated"       // names that come again: the last one counts
	NotADatabase  FactCode = "not-a-database" // named like a snapshot, and something else
	InnerDatabase FactCode = "inner-database" // an etcd database under kubernetes/
	Unopened      FactCode = "unopened"       // a package beside the snapshot: what is in it is not looked at
)
