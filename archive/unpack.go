package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// UnpackOptions say what Unpack takes and how it leaves it.
type UnpackOptions struct {
	// Paths are the entries wanted, as in the archive: a folder stands for all
	// below it. None stands for everything.
	Paths []string

	// Links makes the symbolic links that lead to something below the target,
	// after everything else. Hard links are made where what they are another
	// name of is unpacked, too.
	Links bool

	// Owners gives entries the owners and the permissions that the archive
	// says. Without it they belong to whoever unpacks and are for nobody else:
	// 0600, 0700 for folders and programs.
	Owners bool

	// Watch, when set, is given each entry and gives its content.
	Watch func(*Entry, io.Reader) (io.Reader, error)
}

// Unpacked says what Unpack did.
type Unpacked struct {
	Files, Folders, Links int
	Odd                   int // entries whose names cannot be shown: left out
	Bytes                 int64
	Left                  []Fact   // links that were not made, and names that cannot be
	Missing               []string // paths asked for that are not in the archive
	Linked                []string // paths asked for that are nothing but such links
}

// Unpack reads the archive to its end and writes what is wanted of it below
// root, an empty folder: regular files and folders, nothing that leads out.
// Only when it returns without an error is anything known to be whole; the
// caller removes the folder otherwise.
func Unpack(ctx context.Context, r *Reader, root *os.Root, opts UnpackOptions) (*Unpacked, error) {
	u := &unpacker{ctx: ctx, root: root, opts: opts, done: &Unpacked{}, met: map[string]bool{}, passed: map[string]bool{}, folders: map[string]*Entry{}, buffer: make([]byte, 256<<10)}
	for {
		entry, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = u.add(entry, r)
		}
		if err != nil {
			return u.done, err
		}
	}
	if err := u.links(r.Links()); err != nil {
		return u.done, err
	}
	for _, fact := range r.Facts() {
		if fact.Code == OddName {
			u.done.Left, u.done.Odd = append(u.done.Left, fact), u.done.Odd+1
		}
	}
	for _, want := range opts.Paths {
		switch {
		case u.met[want]:
		case u.passed[want]:
			u.done.Linked = append(u.done.Linked, want)
		default:
			u.done.Missing = append(u.done.Missing, want)
		}
	}
	return u.done, u.closeFolders()
}

type unpacker struct {
	ctx     context.Context
	root    *os.Root
	opts    UnpackOptions
	done    *Unpacked
	met     map[string]bool // paths asked for, and found
	passed  map[string]bool // and found as a link that was not made
	folders map[string]*Entry
	buffer  []byte
}

// wanted tells an entry that was asked for, and notes in seen what it was asked
// for by.
func (u *unpacker) wanted(name string, seen map[string]bool) bool {
	if len(u.opts.Paths) == 0 {
		return true
	}
	found := false
	for _, want := range u.opts.Paths {
		if clean := path.Clean(want); name == clean || strings.HasPrefix(name, clean+"/") || clean == "." {
			seen[want] = true
			found = true
		}
	}
	return found
}

func (u *unpacker) add(entry *Entry, r io.Reader) error {
	if u.opts.Watch != nil {
		var err error
		if r, err = u.opts.Watch(entry, r); err != nil {
			return err
		}
	}
	if !u.wanted(entry.Name, u.met) {
		_, err := io.CopyBuffer(io.Discard, ctxio.Reader(u.ctx, r), u.buffer)
		return err
	}
	if err := u.create(entry, r); err != nil {
		return fmt.Errorf("unpacking entry %d %q: %w", entry.Number, entry.Name, err)
	}
	return nil
}

func (u *unpacker) create(entry *Entry, r io.Reader) error {
	if entry.Kind == Directory {
		u.done.Folders++
		u.folders[entry.Name] = entry
		return u.root.MkdirAll(entry.Name, 0o700)
	}
	if err := u.root.MkdirAll(path.Dir(entry.Name), 0o700); err != nil {
		return err
	}
	if entry.Again {
		if err := u.root.Remove(entry.Name); err != nil {
			return err
		}
		u.done.Files--
	}
	if err := u.room(entry); err != nil {
		return err
	}
	file, err := u.root.OpenFile(entry.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var to io.Writer = struct{ io.Writer }{file}
	if entry.Sparse {
		to = &holes{file: file}
	}
	n, err := io.CopyBuffer(to, ctxio.Reader(u.ctx, r), u.buffer)
	if err == nil && entry.Sparse {
		err = file.Truncate(n)
	}
	u.done.Bytes += n
	u.done.Files++
	if err == nil && n != entry.Size {
		err = io.ErrUnexpectedEOF // whoever watches has to hand on all of it
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close(), u.dress(entry))
}

// dress sets what an entry says of itself, as far as it may.
func (u *unpacker) dress(entry *Entry) error {
	mode := fs.FileMode(0o600)
	if entry.Kind == Directory || entry.Mode&0o100 != 0 {
		mode = 0o700
	}
	if u.opts.Owners {
		if err := u.root.Lchown(entry.Name, entry.UID, entry.GID); err != nil {
			return err
		}
		mode = entry.Mode.Perm() // never setuid, setgid or sticky
	}
	if err := u.root.Chmod(entry.Name, mode); err != nil {
		return err
	}
	if at := entry.ModTime; at.Year() >= 1970 && at.Year() <= 2261 { // what fits into nanoseconds
		return u.root.Chtimes(entry.Name, at, at)
	}
	return nil
}

// closeFolders dresses the folders, now that nothing moves their times.
func (u *unpacker) closeFolders() error {
	for _, entry := range u.folders {
		if err := u.dress(entry); err != nil {
			return fmt.Errorf("unpacking entry %d %q: %w", entry.Number, entry.Name, err)
		}
	}
	return nil
}

// links makes the links that stay inside, and names those that were left.
func (u *unpacker) links(links []Link) error {
	byName := map[string]Link{}
	for _, link := range links {
		byName[link.Name] = link
	}
	for _, link := range links {
		made := u.opts.Links && !link.Hard && linkInside(link.Name, link.Target)
		if link.Hard {
			info, err := u.root.Lstat(link.Target)
			made = err == nil && info.Mode().IsRegular()
		}
		seen := u.passed
		if made {
			seen = u.met
		}
		if !u.wanted(link.Name, seen) {
			continue
		}
		if !made {
			u.done.Left = append(u.done.Left, leftLink(byName, link))
			continue
		}
		if err := u.root.MkdirAll(path.Dir(link.Name), 0o700); err != nil {
			return fmt.Errorf("unpacking link %q: %w", link.Name, err)
		}
		join := u.root.Symlink
		if link.Hard {
			join = u.root.Link
		}
		if err := join(link.Target, link.Name); err != nil {
			return fmt.Errorf("unpacking link %q: %w", link.Name, err)
		}
		u.done.Links++
	}
	return nil
}

// leftLink names a link that was not made, and where its content stands.
func leftLink(links map[string]Link, link Link) Fact {
	fact := Fact{Code: SkippedLink, Entry: link.Name, Detail: fmt.Sprintf("leads to %.200q: not made", link.Target)}
	if to, ok := Resolve(links, link.Name); ok {
		fact.Detail += fmt.Sprintf("; that is %.200q in the archive", to)
	}
	return fact
}
