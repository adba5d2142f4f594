// Package whole writes files and folders whole or not at all.
//
// A target is built in a folder beside its place, NAME.part, and gets its name
// by one rename when all of it is on the disk:
//
//	file, err := whole.NewFile("backup.tar.gz", whole.Options{})
//	...
//	defer file.Discard() // nothing, once it was committed
//	... write to file ...
//	err = file.Commit()
//
// Whatever happens in between, an error, a full disk, SIGKILL, the target is
// what it was before, or the new one. A marker in NAME.part proves that lifeboat
// created it, and its lock that a process is still at it. What a killed run left
// is removed by the next one, and handed to Options.Found to be named; what has
// no marker is never touched.
//
// What stands at the target is refused, moved aside as NAME.old-TIME, or
// overwritten, as Options.Existing says. It is replaced by exchanging two names
// where the file system can do that, so that there is a target at every moment.
package whole

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Existing says what is done about something that stands at the target.
type Existing int

// What stands at the target is refused with ErrExists, moved aside and kept, or
// given up.
const (
	Refuse Existing = iota
	MoveAside
	Overwrite
)

// Options say how a target is written. The zero value writes a new target.
type Options struct {
	Existing Existing

	// Inside is the one entry that the new folder holds, like "member" in an
	// etcd data dir. With it, a folder that exists and is empty may be the
	// target, and a mount point may be replaced: the entry is built and renamed
	// inside, because the folder itself has to stay.
	Inside string

	// Sources are what is read. A leftover that is one of them, or holds one, is
	// refused with ErrSource and not removed. "" and "-" are none.
	Sources []string

	// Owner of the new target; nil for that of what is replaced, or this
	// process's user.
	Owner *Owner

	// Now names what is moved aside; the zero value is the present.
	Now time.Time

	// Found is told of each leftover of a killed run, after it was dealt with.
	Found func(Leftover)

	before func(call string) error // tests fail or die before a system call
}

// Owner is a user and a group, by number; -1 leaves one as it is.
type Owner struct{ UID, GID int }

// Errors of a target that is not written. All of them leave everything as it
// was. ErrExists and ErrForeign are fs.ErrExist, too.
var (
	ErrExists  error = existsError("already exists")
	ErrForeign error = existsError("already exists and was not created by lifeboat")
	ErrInUse         = errors.New("is being written by another run of lifeboat")
	ErrSource        = errors.New("was left by a killed run, and is what is read now")
)

type existsError string

func (e existsError) Error() string { return string(e) }

func (e existsError) Is(target error) bool { return target == fs.ErrExist || target == ErrExists }

// about puts the subject before what is said of it.
func about(path string, err error) error { return fmt.Errorf("%q %w", path, err) }

// WriteFile writes a file of 0600 with this content.
func WriteFile(target string, content []byte, opts Options) error {
	f, err := NewFile(target, opts)
	if err == nil {
		if _, err = f.Write(content); err == nil {
			err = f.Commit()
		} else {
			err = errors.Join(err, f.Discard())
		}
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", target, err)
	}
	return nil
}
