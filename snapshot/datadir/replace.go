package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A folder is replaced by one exchange of names, so that there is no moment
// without one, and a rename of the old one out of the build's folder. A kill
// between the two leaves the old one where a build of ours stands; the note
// says so, and the next run puts it where it was to go.

// noteFile stands in the folder of a build that is about to replace something.
const noteFile = ".lifeboat-replaces"

// note tells what stands at Built: the new folder, known by Device and Inode,
// or the old one, which goes to Aside.
type note struct {
	Built  string `json:"built"`
	Aside  string `json:"aside"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

func identity(path string) (device, inode uint64, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("%q has no number", path)
	}
	return uint64(stat.Dev), stat.Ino, nil //nolint:unconvert // Dev is an int32 elsewhere
}

// replace puts the build in the place of what stands there, which goes aside.
func (b *build) replace() error {
	n := note{Built: b.built, Aside: b.aside}
	var err error
	if n.Device, n.Inode, err = identity(b.built); err != nil {
		return err
	}
	if _, err := os.Lstat(b.aside); err == nil {
		return fmt.Errorf("%q: %w", b.aside, fs.ErrExist)
	}
	if err := n.write(b.part); err != nil {
		return err
	}
	err = exchange(b.built, b.final)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return b.replaceInSteps()
	case err != nil:
		return &os.LinkError{Op: "exchange", Old: b.built, New: b.final, Err: err}
	}
	return os.Rename(b.built, b.aside)
}

// replaceInSteps is for where names cannot be exchanged. After an error the old
// folder stands where it stood.
func (b *build) replaceInSteps() error {
	if err := os.Rename(b.final, b.aside); err != nil {
		return err
	}
	if err := renameNew(b.built, b.final); err != nil {
		return errors.Join(err, os.Rename(b.aside, b.final))
	}
	return nil
}

// write makes sure of the note before names are exchanged.
func (n note) write(part string) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	path := filepath.Join(part, noteFile)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return errors.Join(syncFile(path), syncFile(part))
}

// Leftover looks at the folder of a build that a killed run left. The second
// result is where the next run will put what that one had replaced, "" where it
// had not come so far.
func Leftover(part string) (exists bool, aside string) {
	_, err := os.Lstat(part)
	n, replaced, _ := readNote(part) // an error is the next run's
	if replaced {
		aside = n.Aside
	}
	return err == nil, aside
}

// readNote reads the note in a folder; false where the old folder is not in it.
func readNote(part string) (n note, replaced bool, err error) {
	data, err := os.ReadFile(filepath.Join(part, noteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return n, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	if err != nil {
		return n, false, fmt.Errorf("reading what %q replaces: %w", part, err)
	}
	device, inode, err := identity(n.Built)
	if errors.Is(err, fs.ErrNotExist) {
		return n, false, nil // it went aside
	}
	return n, err == nil && (device != n.Device || inode != n.Inode), err
}

// rescue puts aside what a killed run had replaced.
func rescue(part string) error {
	n, replaced, err := readNote(part)
	if err != nil || !replaced {
		return err
	}
	if _, err := os.Lstat(n.Aside); err == nil {
		return fmt.Errorf("%q: %w", n.Aside, fs.ErrExist)
	}
	return os.Rename(n.Built, n.Aside)
}
