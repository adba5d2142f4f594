package whole

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// noteName is a file in the folder of a build that is about to replace something.
const noteName = ".lifeboat-replaces"

// note tells the next run what stands where after a kill. The new and the old one
// are told apart by their inodes: both exist at once, on one file system. Names
// are relative, because somebody may move the folder around all of it.
type note struct {
	Built string `json:"built"` // what the new one is built as, below the build's folder
	Aside string `json:"aside"` // where the old one is to go, beside the target
	New   uint64 `json:"new"`
	Old   uint64 `json:"old"`
}

// writeNote makes sure of the note before anything is renamed. It gets its name
// when it is whole: half a note would stop every run after this one.
func (b *build) writeNote() error {
	n := note{Aside: filepath.Base(b.Aside)}
	var err error
	if n.Built, err = filepath.Rel(b.Part, b.built); err != nil {
		return err
	}
	if n.New, err = inode(b.built); err != nil {
		return err
	}
	if n.Old, err = inode(b.Final); err != nil {
		return err
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	path := filepath.Join(b.Part, noteName)
	if err := b.call("write note", func() error { return os.WriteFile(path+partSuffix, text, 0o600) }); err != nil {
		return err
	}
	if err := b.syncPath(path + partSuffix); err != nil {
		return err
	}
	if err := b.call("rename note", func() error { return os.Rename(path+partSuffix, path) }); err != nil {
		return err
	}
	return b.syncPath(b.Part)
}

// inode is 0 where nothing stands.
func inode(path string) (uint64, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%q has no inode", path)
	}
	return stat.Ino, nil
}

// standing is where what is replaced stands.
type standing int

const (
	oldNowhere standing = iota // nothing is replaced, or it stands in its place
	oldInBuild                 // names were exchanged: it is in the build's folder
	oldAside                   // it is aside, and the new one in its place
	oldMissing                 // it is aside, and nothing in its place
	oldTwice                   // it is aside and in its place, as one file with two names
)

// replaced is what a note says, and what is to be seen.
type replaced struct {
	standing

	built string // where the new one is built; the old one after an exchange
	aside string
	final string
}

// readNote reads the note in the folder of a build, and looks.
func readNote(part string) (r replaced, err error) {
	text, err := os.ReadFile(filepath.Join(part, noteName))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var n note
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	r.final = strings.TrimSuffix(part, partSuffix)
	if err == nil && (!filepath.IsLocal(n.Built) || filepath.Base(n.Aside) != n.Aside ||
		!strings.HasPrefix(n.Aside, filepath.Base(r.final)+asideSuffix) || len(n.Aside) < len(filepath.Base(r.final)+asideSuffix+asideTime)) {
		err = errors.New("its names are not those of a build")
	}
	if err == nil {
		r.built, r.aside = filepath.Join(part, n.Built), filepath.Join(filepath.Dir(part), n.Aside)
		r.standing, err = n.look(r)
	}
	if err != nil {
		return r, fmt.Errorf("reading what %q replaces: %w", part, err)
	}
	return r, nil
}

func (n note) look(r replaced) (standing, error) {
	built, err1 := inode(r.built)
	aside, err2 := inode(r.aside)
	final, err3 := inode(r.final)
	err := errors.Join(err1, err2, err3)
	switch {
	case built != 0 && built != n.New:
		return oldInBuild, err
	case aside == 0 || aside != n.Old:
		return oldNowhere, err
	case final == 0:
		return oldMissing, err
	case final == n.Old:
		return oldTwice, err
	}
	return oldAside, err
}

// rescue keeps what a killed run had replaced, or was about to.
func (s steps) rescue(l *Leftover) error {
	r, err := readNote(l.Part)
	if err != nil {
		return err
	}
	switch r.standing {
	case oldNowhere:
		return nil
	case oldAside:
		l.Aside = r.aside
	case oldInBuild:
		l.Aside, err = s.toAside(r.built, r.aside)
	case oldMissing:
		l.Back = r.final
		err = s.renameNew("put back", r.aside, r.final)
	case oldTwice:
		err = s.call("unlink aside", func() error { return os.Remove(r.aside) })
	}
	if err != nil {
		return err
	}
	return s.syncPath(filepath.Dir(r.final))
}
