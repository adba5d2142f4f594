package datadir

import (
	"os"

	"golang.org/x/sys/unix"
)

// openUnnamed makes a file on dir's file system that has no name.
func openUnnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
}
