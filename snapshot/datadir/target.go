package datadir

import (
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/whole"
)

// Target is a folder that is written whole or not at all: it is built beside
// its place, as NAME.part, and renamed. In an empty folder that exists, which
// may be a mount point, member is built and renamed. A link is followed. For
// Save it is a file.
type Target struct {
	Path    string
	Replace bool // move what stands there aside; else it is refused with fs.ErrExist

	// Sources are what is read: none of them is removed as a leftover.
	Sources []string

	// Now names what is moved aside. It is a field because a plan and its
	// execution have to agree.
	Now time.Time

	// Found is told of what a killed run had left there, after it was removed.
	Found func(Leftover)
}

// Leftover is what a killed run left of a target.
type Leftover = whole.Leftover

func (t Target) options() whole.Options {
	o := whole.Options{Sources: t.Sources, Now: t.Now, Found: t.Found}
	if t.Replace {
		o.Existing = whole.MoveAside
	}
	return o
}

// dirOptions are those of a data dir, whose only entry is member.
func (t Target) dirOptions() whole.Options {
	o := t.options()
	o.Inside = "member"
	return o
}

// place says where a data dir would be built. One that a process holds is not
// replaced.
func (t Target) place() (whole.Place, error) {
	place, err := whole.PlanDir(t.Path, t.dirOptions())
	if err == nil && place.Aside != "" {
		err = (&Dir{Path: t.Path}).InUse()
	}
	return place, err
}

// Scratch is a folder on the file system that a target at path will stand on:
// the target itself where it is a mount point, else the nearest folder above it.
func Scratch(path string) string { return whole.Scratch(path) }
