package whole

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/internal/filelock"
)

// marker is the file that proves that a folder is a build of lifeboat's. Its lock
// is held while the build is under way, and gone with the process.
const marker = ".lifeboat-part"

// build is a target under way.
type build struct {
	Place
	steps
	opts Options

	marker  *os.File
	synced  bool
	settled bool // committed or discarded
	placed  bool
}

// begin makes the folder to build in, after it has removed what killed runs left
// there. plan says where that is.
func begin(target string, opts Options, plan func(string, Options) (Place, error)) (*build, error) {
	p, err := plan(target, opts)
	if err != nil {
		return nil, err
	}
	s := steps{opts.before}
	for _, part := range leftoversOf(target, p, opts) {
		if err := s.removeLeftover(part, opts); err != nil {
			return nil, err
		}
	}
	// That may have put back what stood there, or taken a name.
	if p, err = plan(target, opts); err != nil {
		return nil, err
	}
	b := &build{Place: p, steps: s, opts: opts}
	if err := b.mark(); err != nil {
		return nil, err
	}
	return b, nil
}

// mark makes the folder and its marker, and locks it.
func (b *build) mark() error {
	err := b.call("mkdir", func() error { return os.Mkdir(b.Part, 0o700) })
	if errors.Is(err, fs.ErrExist) {
		return about(b.Part, ErrInUse) // it was not there a moment ago
	}
	if err != nil {
		return err
	}
	path := filepath.Join(b.Part, marker)
	err = b.call("mark", func() (err error) {
		b.marker, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		return err
	})
	if err == nil {
		err = b.call("lock", func() error { return lock(b.marker) })
	}
	switch {
	case errors.Is(err, ErrInUse):
		return errors.Join(about(b.Part, err), b.marker.Close()) // somebody took it for a leftover: it is theirs
	case err != nil:
		return errors.Join(err, b.discard())
	}
	return nil
}

// lock takes the lock of a marker that still has its name. Who removes a leftover
// holds it, so that the name may be gone when the lock is to be had.
func lock(marker *os.File) error {
	err := filelock.Take(marker)
	if errors.Is(err, filelock.ErrHeld) {
		return ErrInUse
	}
	if err != nil {
		return fmt.Errorf("locking %q: %w", marker.Name(), err)
	}
	own, err := marker.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(marker.Name()); err != nil || !os.SameFile(own, named) {
		return ErrInUse
	}
	return nil
}

// Sync gives what was built its owner, mode and label, and writes all of it
// through to the disk. Commit does so, too, where it was not done before.
func (b *build) Sync(ctx context.Context) error {
	if err := b.dress(); err != nil {
		return err
	}
	if err := b.syncTree(ctx, b.Data); err != nil {
		return err
	}
	b.synced = true
	return nil
}

// commit puts what was built in its place. After an error what stood there
// stands there, but for one: Placed tells.
func (b *build) commit() error {
	if b.settled {
		return fmt.Errorf("%q was committed or discarded before", b.Final)
	}
	if !b.synced {
		if err := b.Sync(context.Background()); err != nil {
			return errors.Join(err, b.discard())
		}
	}
	put := b.putNew
	if b.exists {
		put = b.replace
	}
	if err := put(); err != nil {
		return errors.Join(err, b.discard())
	}
	b.placed = true
	return errors.Join(b.syncPath(filepath.Dir(b.Final)), b.discard())
}

// Placed reports whether what was built stands at Final. It does after a commit,
// even where an error came behind the rename.
func (b *build) Placed() bool { return b.placed }

// Discard removes what was built. After a commit it does nothing.
func (b *build) Discard() error {
	if b.settled {
		return nil
	}
	return b.discard()
}

// discard removes the folder and gives up the lock. Where what is replaced does
// not stand in its place, and could not be put there, it is left to the next run.
func (b *build) discard() error {
	b.settled = true
	old, err := readNote(b.Part)
	if err == nil && (old.standing == oldNowhere || old.standing == oldAside) {
		err = b.removePart(b.Part)
	} else {
		err = errors.Join(err, fmt.Errorf("what stood at %q is kept, and the next run puts it in order", b.Final))
	}
	if b.marker != nil {
		err = errors.Join(err, filelock.Release(b.marker))
	}
	return err
}

// removePart removes the folder of a build, its marker last: without it, what a
// kill leaves would be nobody's, and in the way for ever.
func (s steps) removePart(part string) error {
	entries, err := os.ReadDir(part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == marker || e.Name() == noteName {
			continue
		}
		if err := s.call("remove content", func() error { return os.RemoveAll(filepath.Join(part, e.Name())) }); err != nil {
			return err
		}
	}
	for _, name := range []string{noteName, marker} {
		if err := s.call("remove "+name, func() error { return ignoreAbsent(os.Remove(filepath.Join(part, name))) }); err != nil {
			return err
		}
	}
	return s.call("rmdir", func() error { return ignoreAbsent(os.Remove(part)) })
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
