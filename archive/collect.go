package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// Skipped is something below a folder that Collect did not take.
type Skipped struct {
	Name   string     `json:"name"`
	Code   SkipReason `json:"code"`
	Reason string     `json:"reason"` // for people
}

// SkipReason is why, stable for machines.
type SkipReason string

// What can keep something out of an archive. A DanglingLink leads to nothing,
// so nothing but the others is lost.
const (
	SpecialFile  SkipReason = "special-file"  // a socket, pipe or device
	LinkOut      SkipReason = "link-out"      // the link is packed, what it leads to is not
	DanglingLink SkipReason = "dangling-link" // the link is packed, and leads to nothing
	UnfitName    SkipReason = "odd-name"      // a name that cannot be shown or typed
)

// Collect lists the folder dir as items below prefix ("kubernetes"), with the
// digest of every file. Symbolic links are listed, not followed; an absolute
// one that leads into the folder, by its own name or as /etc/kubernetes,
// becomes relative. Links that lead to nothing that is packed are noted in
// skipped, as are sockets, pipes, devices and names that cannot be shown, which
// are left out. The items stay valid until root is closed.
//
// Errors: a file that cannot be read, a name that an archive must not hold
// (*PolicyError), more entries than limits allow.
func Collect(ctx context.Context, root *os.Root, prefix string, limits Limits) (items []Item, skipped []Skipped, err error) {
	c := &collector{ctx: ctx, root: root, prefix: prefix, limits: limits.withDefaults()}
	if err := fs.WalkDir(root.FS(), ".", c.visit); err != nil {
		return nil, nil, fmt.Errorf("collecting %q: %w", root.Name(), err)
	}
	c.links()
	return c.items, c.skipped, nil
}

type collector struct {
	ctx     context.Context
	root    *os.Root
	prefix  string
	limits  Limits
	items   []Item
	skipped []Skipped
}

func (c *collector) visit(name string, _ fs.DirEntry, err error) error {
	if err == nil {
		err = c.ctx.Err()
	}
	if err != nil {
		return err
	}
	info, err := c.root.Lstat(name)
	if err != nil {
		return err
	}
	item := Item{Name: path.Join(c.prefix, name), Mode: info.Mode(), ModTime: info.ModTime()}
	item.UID, item.GID = ownerOf(info)
	if _, err := cleanName(item.Name); errors.Is(err, errOddName) {
		c.skip(item.Name, UnfitName, "has "+err.Error()+": left out")
		if info.IsDir() {
			return fs.SkipDir
		}
		return nil
	} else if err != nil {
		return &PolicyError{Entry: item.Name, Number: len(c.items) + 1, Reason: err.Error()}
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
	case mode&fs.ModeSymlink != 0:
		if item.Link, err = c.root.Readlink(name); err != nil {
			return err
		}
	case mode.IsRegular():
		if err := c.file(name, &item); err != nil {
			return err
		}
	default:
		c.skip(item.Name, SpecialFile, "is neither a file nor a folder nor a link")
		return nil
	}
	if len(c.items) == c.limits.MaxEntries-3 { // the snapshot and two pages come beside
		return fmt.Errorf("more than %d files and folders", c.limits.MaxEntries-3)
	}
	c.items = append(c.items, item)
	return nil
}

func (c *collector) skip(name string, code SkipReason, reason string) {
	c.skipped = append(c.skipped, Skipped{name, code, reason})
}

// links judges the symbolic links, now that it is known what is packed.
func (c *collector) links() {
	folders := []string{hostFolder}
	if own, err := filepath.Abs(c.root.Name()); err == nil {
		folders = append(folders, own)
		if real, err := filepath.EvalSymlinks(own); err == nil {
			folders = append(folders, real)
		}
	}
	packed, links := map[string]bool{}, map[string]Link{}
	for _, item := range c.items {
		packed[item.Name] = true
		if item.Mode&fs.ModeSymlink != 0 {
			links[item.Name] = Link{Name: item.Name, Target: relativeLink(item.Name, item.Link, c.prefix, folders)}
		}
	}
	for i := range c.items {
		item := &c.items[i]
		link, isLink := links[item.Name]
		if !isLink {
			continue
		}
		switch to, inside := Resolve(links, item.Name); {
		case packed[to]:
			item.Link = link.Target
		case inside && path.Dir(to) != ".":
			c.skip(item.Name, DanglingLink, fmt.Sprintf("leads to %q, and nothing is there", item.Link))
		default:
			c.skip(item.Name, LinkOut, fmt.Sprintf("leads out of the folder, to %q: the link is packed, what it leads to is not", item.Link))
		}
	}
}

// file reads a file for its digest and its size, which Lstat may know no more.
func (c *collector) file(name string, item *Item) error {
	item.Open = func() (io.ReadCloser, error) { return c.root.Open(name) }
	r, err := item.Open()
	if err != nil {
		return err
	}
	sum := sha256.New()
	item.Size, err = io.Copy(sum, ctxio.Reader(c.ctx, r))
	if err != nil {
		return errors.Join(err, r.Close())
	}
	item.SHA256 = hexSum(sum)
	return r.Close()
}
