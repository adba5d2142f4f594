//go:build !linux

package whole

import (
	"errors"
	"os"
)

func exchange(_, _ string) error { return errors.ErrUnsupported }

func renameExclusive(_, _ string) error { return errors.ErrUnsupported }

func openUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkUnnamed(*os.File, string) error { return errors.ErrUnsupported }

func isMount(path string) (bool, error) { return otherDevice(path) }

func beginWriting(*os.File, int64, int64) {}
