package whole

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// putNew gives what was built a name that nobody has.
func (b *build) putNew() error {
	err := b.renameNew("rename", b.built, b.Final)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%q %w: it was created while this was being written", b.Final, ErrExists)
	}
	return err
}

// replace puts what was built in the place of what stands there. Two names are
// exchanged, so that there is no moment without one; then the old one, which is
// in the build's folder now, goes aside. A kill between the two would have the
// next run take it for half-made content, but for the note.
func (b *build) replace() error {
	if b.opts.Existing == Overwrite {
		return b.call("rename over", func() error { return os.Rename(b.built, b.Final) })
	}
	if err := b.writeNote(); err != nil {
		return err
	}
	err := b.call("exchange", func() error { return Exchange(b.built, b.Final) })
	if errors.Is(err, errors.ErrUnsupported) {
		return b.replaceInSteps()
	}
	if err != nil {
		return err
	}
	if err := b.moveAside(b.built); err != nil {
		return errors.Join(err, b.call("exchange back", func() error { return Exchange(b.built, b.Final) }))
	}
	return nil
}

// moveAside gives the old one its new name; another one where somebody has taken
// that meanwhile.
func (b *build) moveAside(old string) (err error) {
	b.Aside, err = b.toAside(old, b.Aside)
	return err
}

func (s steps) toAside(old, aside string) (string, error) {
	err := s.renameNew("move aside", old, aside)
	if errors.Is(err, fs.ErrExist) {
		if aside, err = numbered(aside[:strings.LastIndex(aside, asideSuffix)+len(asideSuffix)+len(asideTime)]); err == nil {
			err = s.renameNew("move aside", old, aside)
		}
	}
	return aside, err
}

// replaceInSteps is for where names cannot be exchanged. A file gets its second
// name first, so that there is one at every moment; a folder cannot have two, and
// a kill between two renames is made good by the next run.
func (b *build) replaceInSteps() error {
	info, err := os.Lstat(b.built)
	if err != nil {
		return err
	}
	if !info.IsDir() && b.call("link aside", func() error { return os.Link(b.Final, b.Aside) }) == nil {
		err := b.call("rename over", func() error { return os.Rename(b.built, b.Final) })
		if err != nil {
			err = errors.Join(err, b.call("unlink aside", func() error { return os.Remove(b.Aside) }))
		}
		return err
	}
	if err := b.moveAside(b.Final); err != nil {
		return err
	}
	if err := b.putNew(); err != nil {
		return errors.Join(err, b.renameNew("move back", b.Aside, b.Final))
	}
	return nil
}

// Exchange swaps two names of one file system at one moment. Where the file
// system or the system cannot, the error is errors.ErrUnsupported and nothing
// has happened.
func Exchange(a, b string) error {
	if err := exchange(a, b); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// renameNew renames and never replaces.
func (s steps) renameNew(name, from, to string) error {
	err := s.call(name, func() error { return renameExclusive(from, to) })
	if !errors.Is(err, errors.ErrUnsupported) {
		if err != nil {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
		return nil
	}
	// Between two calls somebody might take the name. A second name for a file
	// is exclusive everywhere; what cannot have one (a folder; FAT) is asked for
	// first.
	err = s.call(name+" by link", func() error { return os.Link(from, to) })
	if err == nil {
		return s.call(name+" by unlink", func() error { return os.Remove(from) })
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.call(name+" plainly", func() error { return os.Rename(from, to) })
}
