//go:build !linux

package snapshot

import (
	"context"
	"errors"
	"os"
)

// prefault is a matter of speed alone.
func prefault(context.Context, []byte) {}

// Other systems spool to an unlinked file.

func memoryFile() (*os.File, error)            { return nil, errors.ErrUnsupported }
func unnamedFile(dir string) (*os.File, error) { return nil, errors.ErrUnsupported }
func freeMemory() int64                        { return 0 }
