package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// Where says where a Spool may put plaintext.
type Where string

// Both places vanish with the process: neither has a name.
const (
	Anywhere Where = "auto" // memory while the file fits a quarter of what is free, then disk
	Memory   Where = "mem"
	Disk     Where = "disk"
)

// Spool takes a database out of a stream, since it has to be read out of
// order. Secrets stand in it, so it is kept in memory or in a file that is
// unlinked before the first byte is written: no other process can open it, and
// a SIGKILL leaves nothing.
type Spool struct {
	Where Where
	Dir   string // for Disk; "" is the system's folder for temporary files
}

// Take reads src to its end and returns the file, at its beginning, with the
// sum of what it read. The caller closes the file.
func (s Spool) Take(ctx context.Context, src io.Reader) (*os.File, *TrailerHash, error) {
	limit := int64(0)
	switch s.Where {
	case Memory:
		limit = -1
	case Disk:
	default:
		limit = freeMemory() / 4
	}
	w := &spoolWriter{dir: s.Dir, limit: limit}
	sum := NewTrailerHash()
	_, err := io.CopyBuffer(io.MultiWriter(w, sum), ctxio.Reader(ctx, src), make([]byte, 256<<10))
	if err == nil {
		_, err = w.open()
	}
	if err == nil {
		_, err = w.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		if w.file != nil {
			w.file.Close()
		}
		return nil, nil, fmt.Errorf("spooling: %w", err)
	}
	return w.file, sum, nil
}

// spoolWriter begins in memory and moves to disk when the limit is passed.
type spoolWriter struct {
	dir   string
	limit int64 // bytes in memory; below 0 there is no limit

	file     *os.File
	onDisk   bool
	inMemory int64
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	if w.file != nil && !w.onDisk && w.limit >= 0 && w.inMemory+int64(len(p)) > w.limit {
		if err := w.moveToDisk(); err != nil {
			return 0, err
		}
	}
	file, err := w.open()
	if err != nil {
		return 0, err
	}
	n, err := file.Write(p)
	w.inMemory += int64(n)
	return n, err
}

// open makes the file at the first write.
func (w *spoolWriter) open() (*os.File, error) {
	if w.file != nil {
		return w.file, nil
	}
	if w.limit != 0 {
		file, err := memoryFile()
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			w.file = file
			return file, err
		}
	}
	file, err := unlinkedFile(w.dir)
	w.file, w.onDisk = file, true
	return file, err
}

func (w *spoolWriter) moveToDisk() error {
	memory := w.file
	defer memory.Close()
	disk, err := unlinkedFile(w.dir)
	w.file, w.onDisk = disk, true
	if err != nil {
		return err
	}
	if _, err := memory.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(disk, memory)
	return err
}

// unlinkedFile makes a file without a name. A file system without O_TMPFILE
// shows the name until it is removed, still before the first byte.
func unlinkedFile(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	if file, err := unnamedFile(dir); err == nil {
		return file, nil
	}
	file, err := os.CreateTemp(dir, ".lifeboat-*.part")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// IsDiskFull tells an error of a full disk or quota.
func IsDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
