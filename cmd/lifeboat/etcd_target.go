package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
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

// refuseInside keeps a target out of the data dir that is read: it would be
// changed by it.
func refuseInside(src, to string) error {
	if info, err := os.Stat(src); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // whoever opens it says what is wrong
	}
	dir := src
	if d, err := datadir.Open(src); err == nil {
		dir = d.Path // SRC may be the folder member in it
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(nearestFolder(to))
	if err != nil {
		return err
	}
	if target == dir || strings.HasPrefix(target, dir+string(filepath.Separator)) {
		return withHint(refusef("%q stands in the data dir %q that is read", to, src), "choose another place with --to")
	}
	return nil
}
