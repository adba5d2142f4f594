package archive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What can be wrong with an archive, for errors.Is.
var (
	ErrDamaged    = errors.New("damaged")
	ErrPolicy     = errors.New("refused")
	ErrNotArchive = errors.New("not an archive")
	// ErrOtherFormat says that a file is of a known format that is not read
	// here: another tool unwraps it, and nothing says that it is damaged.
	ErrOtherFormat = errors.New("another format")

	// ErrNoEnd is wrapped by the DamagedError of an archive that lacks tar's
	// end: all entries before it were read in full.
	ErrNoEnd = errors.New("ends without tar's two zero blocks")

	// ErrTrailing is wrapped by the errors for bytes after an end.
	ErrTrailing = errors.New("trailing data")

	ErrNoSnapshot    = errors.New("no etcd snapshot in the archive")
	ErrManySnapshots = errors.New("more than one etcd snapshot in the archive")
)

// DamagedError says which layer of the archive is not what was written.
// errors.Is(err, ErrDamaged) holds.
type DamagedError struct {
	Layer  string // "gzip", "zstd" or "tar"
	Entry  string // name of the entry being read, "" outside of one
	Number int    // and its position, from 1

	// Offset counts bytes: of the compressed stream for gzip and zstd (how far
	// it had been read), of the unpacked stream for tar.
	Offset int64
	Err    error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s layer damaged at offset %d%s: %v", e.Layer, e.Offset, inEntry(e.Entry, e.Number), e.Err)
}

func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }
func (e *DamagedError) Unwrap() error        { return e.Err }

// PolicyError says that an archive was refused, though it might be read.
// errors.Is(err, ErrPolicy) holds.
type PolicyError struct {
	Entry  string // name as in the archive, "" for the archive as a whole
	Number int    // its position, from 1
	Offset int64  // of its header in the unpacked tar stream
	Reason string
	Err    error // or nil
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("refusing the archive at offset %d%s: %s", e.Offset, inEntry(e.Entry, e.Number), e.Reason)
}

func (e *PolicyError) Is(target error) bool { return target == ErrPolicy }
func (e *PolicyError) Unwrap() error        { return e.Err }

// inEntry names an entry for an error: names come from the archive, so they
// are escaped and kept short.
func inEntry(name string, number int) string {
	if number == 0 {
		return ""
	}
	const most = 200
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fmt.Sprintf(", entry %d %q", number, name)
}

// NotArchiveError says what was found in the place of an archive.
// errors.Is(err, ErrNotArchive) holds, and ErrOtherFormat where a tool unwraps
// it, or where it is a snapshot as it stands.
type NotArchiveError struct {
	Outer  Format // the compression around it, "" for none
	Format Format
}

func (e *NotArchiveError) Error() string {
	if e.Outer != "" {
		return fmt.Sprintf("not an archive: %s, and in it %s, no tar", e.Outer.article(), e.Format.article())
	}
	return "not an archive: " + e.Format.article()
}

func (e *NotArchiveError) Is(target error) bool {
	return target == ErrNotArchive || target == ErrOtherFormat && (e.Format.Unwrap() != "" || slices.Contains([]Format{Bolt, Delta, SQLite, Age}, e.Format))
}

// SnapshotError says that an archive does not hold exactly one snapshot.
// errors.Is finds ErrNoSnapshot or ErrManySnapshots.
type SnapshotError struct {
	Wanted   string   // the name that was asked for, "" for none
	Found    []string // names of the snapshots
	Inside   []string // databases under kubernetes/, which were not taken for it
	Suspects []Fact   // entries named like a snapshot that are something else
	Wrapped  []Fact   // entries that another tool has to unwrap first
}

func (e *SnapshotError) Error() string {
	var b strings.Builder
	b.WriteString(e.sentinel().Error())
	var list []string
	for _, f := range e.Wrapped {
		list = append(list, fmt.Sprintf("%q %s", f.Entry, f.Detail))
	}
	for _, name := range e.Found {
		list = append(list, fmt.Sprintf("%q", name))
	}
	for _, f := range e.Suspects {
		list = append(list, fmt.Sprintf("%q %s", f.Entry, f.Detail))
	}
	if len(e.Found) == 0 {
		for _, name := range e.Inside {
			list = append(list, fmt.Sprintf("%q, a database among the files of the control plane, was not taken for it", name))
		}
	}
	if len(list) > 0 {
		b.WriteString(": " + strings.Join(list, ", "))
	}
	return b.String()
}

// Is finds ErrOtherFormat beside the two where a tool unwraps what is there.
func (e *SnapshotError) Is(target error) bool {
	return target == e.sentinel() || target == ErrOtherFormat && len(e.Wrapped) > 0
}

func (e *SnapshotError) sentinel() error {
	switch {
	case e.Wanted != "":
		return fmt.Errorf("no etcd database %q in the archive", e.Wanted)
	case len(e.Found) == 0:
		return ErrNoSnapshot
	}
	return ErrManySnapshots
}
