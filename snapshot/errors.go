package snapshot

import (
	"errors"
	"fmt"
)

// What can be wrong with a file, for errors.Is. Every error of this package
// that stands for one of them wraps it.
var (
	// ErrInUse: another process holds the file for writing, see InUseError.
	ErrInUse = errors.New("database is in use")

	// ErrDamaged: the file is or was an etcd database, and part of it cannot
	// be what etcd wrote, see DamagedError.
	ErrDamaged = errors.New("database is damaged")

	// ErrNotDatabase: the file is no bbolt database at all.
	ErrNotDatabase = errors.New("not a bbolt database")

	// ErrNotEtcd: a sound bbolt database, but without etcd's buckets.
	ErrNotEtcd = errors.New("not an etcd database")
)

// What can be wrong with a revision that was asked for; worded as etcd words
// it (etcd server/storage/mvcc/kvstore.go).
var (
	ErrCompacted      = errors.New("required revision has been compacted")
	ErrFutureRevision = errors.New("required revision is a future revision")
)

// DamagedError says what is damaged and where. It is ErrDamaged.
type DamagedError struct {
	Page   int64  // page id, or -1 when the damage is not of one page
	Offset int64  // byte offset in the file, or -1 where none is known
	What   string // what was found, and what should have been there
}

func (e *DamagedError) Error() string {
	switch {
	case e.Page >= 0 && e.Offset >= 0:
		return fmt.Sprintf("page %d at offset %d: %s", e.Page, e.Offset, e.What)
	case e.Page >= 0:
		return fmt.Sprintf("page %d: %s", e.Page, e.What)
	}
	return e.What
}

// Is makes every DamagedError ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// damaged is a DamagedError that belongs to no single page.
func damaged(format string, args ...any) *DamagedError {
	return &DamagedError{Page: -1, Offset: -1, What: fmt.Sprintf(format, args...)}
}

// InUseError names the process that holds the file. It is ErrInUse.
type InUseError struct {
	Path    string
	PID     int    // 0 when the kernel does not show the holder
	Command string // the holder's name, "" when not known
}

func (e *InUseError) Error() string {
	switch {
	case e.PID > 0 && e.Command != "":
		return fmt.Sprintf("database is in use: held by process %d (%q)", e.PID, e.Command)
	case e.PID > 0:
		return fmt.Sprintf("database is in use: held by process %d", e.PID)
	}
	return "database is in use: another process holds its lock"
}

// Is makes every InUseError ErrInUse.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }
