package lifeboat

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// Class says what kind of answer an error is. The command has an exit code for
// each.
type Class string

// The classes.
const (
	Failed     Class = "failed"     // what was asked for does not exist, or cannot be done
	Misused    Class = "misused"    // the options contradict each other or the source
	Incomplete Class = "incomplete" // it is done, but not all that was asked for
	NoKey      Class = "no key"     // no key at hand opens it
	Damaged    Class = "damaged"    // it is not what was once written
	Refused    Class = "refused"    // it could be done, and must not
)

// Error is an error that knows its class, or the next thing to do, or both.
type Error struct {
	Class Class // "" is that of Err
	Err   error
	Hint  string // a command to type, or what to look at; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// HintText is the hint, for those who know this by an interface alone.
func (e *Error) HintText() string { return e.Hint }

func misusef(format string, args ...any) error {
	return &Error{Class: Misused, Err: fmt.Errorf(format, args...)}
}

func refusef(format string, args ...any) error {
	return &Error{Class: Refused, Err: fmt.Errorf(format, args...)}
}

// withHint adds the next thing to do to err, and keeps its class.
func withHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &Error{Err: err, Hint: hint}
}

// KnownError is an error of a package below that is more than "failed".
type KnownError struct {
	Err   error
	Class Class
}

// KnownErrors is the one table of them.
func KnownErrors() []KnownError {
	return []KnownError{
		{crypto.ErrDamaged, Damaged},
		{archive.ErrDamaged, Damaged},
		{snapshot.ErrDamaged, Damaged},
		{archive.ErrOtherFormat, Failed},
		// What was meant to be a backup and is none is worth as little as a damaged one.
		{archive.ErrNotArchive, Damaged},
		{archive.ErrNoSnapshot, Damaged},
		{snapshot.ErrNotDatabase, Damaged},
		{snapshot.ErrNotEtcd, Damaged},
		{crypto.ErrPolicy, Refused},
		{archive.ErrPolicy, Refused},
		{archive.ErrManySnapshots, Refused}, // which one is the cluster's is not ours to guess
		{snapshot.ErrInUse, Refused},
		{etcdproc.ErrNewer, Refused},
		{whole.ErrExists, Refused},
		{whole.ErrInUse, Refused},
		{whole.ErrSource, Refused},
		{fs.ErrExist, Refused},
		{crypto.ErrSignature, Damaged},
		{crypto.ErrRecipients, Misused},
		{datadir.ErrRequest, Misused},
		{archive.ErrNewer, Refused},
		{crypto.ErrNoKey, NoKey},
	}
}

// ClassOf is the class of an error, "" for none. Where one error holds several,
// the strongest counts: damage beats a missing key, because a damaged file makes
// good keys look wrong.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if class := classIn(err); class != "" {
		return class
	}
	return Failed
}

// classIn is the strongest class in the tree of err, "" when nothing in it has
// one.
func classIn(err error) Class {
	switch e := err.(type) { //nolint:errorlint // each node of the tree is looked at by itself
	case *Error:
		if e.Class != "" {
			return e.Class
		}
		return classIn(e.Err)
	case interface{ Unwrap() error }:
		return strongest(classAt(err), classIn(e.Unwrap()))
	case interface{ Unwrap() []error }:
		classes := []Class{classAt(err)}
		for _, each := range e.Unwrap() {
			classes = append(classes, ClassOf(each)) // a branch that has none has failed
		}
		return strongest(classes...)
	}
	return classAt(err)
}

func classAt(err error) Class {
	is, asks := err.(interface{ Is(error) bool })
	for _, known := range KnownErrors() {
		if err == known.Err || asks && is.Is(known.Err) { //nolint:errorlint // as above
			return known.Class
		}
	}
	return ""
}

func strongest(classes ...Class) Class {
	for _, class := range []Class{Damaged, Refused, Misused, NoKey, Failed, Incomplete} {
		if slices.Contains(classes, class) {
			return class
		}
	}
	return ""
}
