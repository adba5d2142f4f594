package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// targetHint gives the errors of writing a target their exit codes.
func targetHint(err error) error {
	switch {
	case errors.Is(err, datadir.ErrNoSpace):
		return &codedError{Code: exitRefused, Err: err, Hint: "nothing was written; choose another place with --to"}
	case errors.Is(err, fs.ErrExist):
		return withHint(err, "nothing was written; choose another place with --to")
	}
	return inUseHint(err)
}

// writingOptionsOf reads the flags of a command that reads SRC and writes
// targets, of which "" is none. What is spooled stands on the first one's own
// file system.
func writingOptionsOf(c *cli.Context, targets ...string) (opts sourceOptions, src string, err error) {
	if opts, err = sourceOptionsOf(c); err != nil {
		return opts, "", err
	}
	if src, err = oneArgument(c, "SRC"); err != nil {
		return opts, "", err
	}
	opts.spoolDir = datadir.Scratch(targets[0])
	return opts, src, opts.refuseInside(src, targets...)
}

// printUndo says how what was replaced is put back; "" is nothing.
func printUndo(out *section, target, aside string) {
	if aside != "" {
		out.line("what stood there is kept; to put it back:")
		out.line("  mv %s %s.new && mv %s %s", shellQuote(target), shellQuote(target), shellQuote(aside), shellQuote(target))
	}
}

// writeTo is the target of a command that reads src.
func (o sourceOptions) writeTo(c *cli.Context, env *environment, src, to string) datadir.Target {
	return datadir.Target{
		Path: to, Replace: c.Bool("replace"), Now: time.Now(),
		Sources: slices.Concat([]string{src}, o.PeerDirs, o.WALDirs), Found: env.foundLeftover,
	}
}

// foundLeftover names what a killed run had left.
func (e *environment) foundLeftover(l datadir.Leftover) {
	e.warn("removed %q, which a killed run had left", l.Part)
	switch {
	case l.Aside != "":
		e.warn("that run had replaced something, which is kept as %q", l.Aside)
	case l.Back != "":
		e.warn("that run was about to replace something, which stands at %q again", l.Back)
	}
}

// sweep removes what killed runs left in a folder in which etcd is about to be
// run on a copy, and names it.
func (e *environment) sweep(dir string) error {
	stale, err := etcdproc.Sweep(dir)
	for _, name := range stale {
		e.warn("removed %q, which a killed run had left", name)
	}
	return err
}

// refuseInside keeps targets out of the data dirs and logs that are read: they
// would be changed by them. A target of "" is none.
func (o sourceOptions) refuseInside(src string, targets ...string) error {
	read := slices.Concat([]string{src}, o.PeerDirs, o.WALDirs)
	for _, dir := range read {
		for _, to := range targets {
			inside, err := isInside(dir, to)
			if err != nil {
				return err
			}
			if inside {
				return withHint(refusef("%q stands in %q, which is read", to, dir), "choose another place")
			}
		}
	}
	return nil
}

// isInside reports whether a path to be written stands in a folder.
func isInside(dir, to string) (bool, error) {
	if info, err := os.Stat(dir); to == "" || err != nil || !info.IsDir() {
		return false, nil //nolint:nilerr // whoever opens it says what is wrong
	}
	if d, err := datadir.Open(dir); err == nil {
		dir = d.Path // SRC may be the folder member in it
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	target, err := filepath.EvalSymlinks(nearestFolder(to))
	return target == dir || strings.HasPrefix(target, dir+string(filepath.Separator)), err
}
