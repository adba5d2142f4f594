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
)

// Skipped is a file that Collect could not take.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Collect lists the folder dir as items below prefix ("kubernetes"), with the
// digest of every file. Symbolic links are listed, not followed: one that
// leads out of the folder is listed too, and noted in skipped, as are sockets,
// pipes and devices, which are left out. The items stay valid until root is
// closed.
//
// Errors: a file that cannot be read, a name that an archive must not hold
// (*PolicyError), more entries than limits allow.
func Collect(ctx context.Context, root *os.Root, prefix string, limits Limits) (items []Item, skipped []Skipped, err error) {
	c := &collector{ctx: ctx, root: root, prefix: prefix, limits: limits.withDefaults()}
	if err := fs.WalkDir(root.FS(), ".", c.visit); err != nil {
		return nil, nil, fmt.Errorf("collecting %q: %w", root.Name(), err)
	}
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
	if _, err := cleanName(item.Name); err != nil {
		return &PolicyError{Entry: item.Name, Number: len(c.items) + 1, Reason: err.Error()}
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
	case mode&fs.ModeSymlink != 0:
		if item.Link, err = c.root.Readlink(name); err != nil {
			return err
		}
		if !linkInside(item.Name, item.Link) {
			c.skip(item.Name, fmt.Sprintf("leads out of the folder, to %q: the link is packed, what it leads to is not", item.Link))
		}
	case mode.IsRegular():
		if err := c.file(name, &item); err != nil {
			return err
		}
	default:
		c.skip(item.Name, "is neither a file nor a folder nor a link")
		return nil
	}
	if len(c.items) == c.limits.MaxEntries-3 { // the snapshot and two pages come beside
		return fmt.Errorf("more than %d files and folders", c.limits.MaxEntries-3)
	}
	c.items = append(c.items, item)
	return nil
}

func (c *collector) skip(name, reason string) {
	c.skipped = append(c.skipped, Skipped{name, reason})
}

// file reads a file for its digest and its size, which Lstat may know no more.
func (c *collector) file(name string, item *Item) error {
	item.Open = func() (io.ReadCloser, error) { return c.root.Open(name) }
	r, err := item.Open()
	if err != nil {
		return err
	}
	sum := sha256.New()
	item.Size, err = io.Copy(sum, &contextReader{c.ctx, r})
	if err != nil {
		return errors.Join(err, r.Close())
	}
	item.SHA256 = hexSum(sum)
	return r.Close()
}
