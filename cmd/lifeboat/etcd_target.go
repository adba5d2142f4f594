package main

import (
	"errors"
	"io/fs"

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
