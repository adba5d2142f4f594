// Package filelock takes the advisory locks (flock(2)) by which two runs of
// lifeboat tell each other that a folder is being worked on.
//
// A program that is being started holds all that its parent has open until it has
// begun (between fork and exec): a lock that was only closed is held by it a little
// longer. Take therefore asks more than once, and Release gives the lock up before
// it closes the file.
package filelock

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// ErrHeld says that somebody else holds the lock.
var ErrHeld = errors.New("locked by another process")

const (
	tries = 20
	step  = 5 * time.Millisecond
)

// Take takes the exclusive lock of an open file or folder, waiting a tenth of a
// second at most. It is held until Release, or until the process ends.
//
// Errors: ErrHeld.
func Take(file *os.File) error { return ask(file, syscall.LOCK_EX) }

// Probe reports whether somebody holds the exclusive lock.
//
// Errors: ErrHeld.
func Probe(file *os.File) error {
	if err := ask(file, syscall.LOCK_SH); err != nil {
		return err
	}
	return syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
}

func ask(file *os.File, how int) error {
	for try := 1; ; try++ {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case try == tries:
			return ErrHeld
		default:
			time.Sleep(step)
		}
	}
}

// Release gives up the lock and closes the file.
func Release(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}
