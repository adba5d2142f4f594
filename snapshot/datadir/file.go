package datadir

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strconv"
)

// fileReader reads a file from its beginning, whatever its offset is, up to
// size.
type fileReader struct {
	file *os.File
	size int64
	at   int64
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.size-r.at)], r.at)
	r.at += int64(n)
	return n, err
}

// fdPath is a name by which an open file can be opened anew, with an offset
// and a lock of its own; it may have no other name.
func fdPath(f *os.File) string {
	if runtime.GOOS == "linux" {
		return "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	}
	return "/dev/fd/" + strconv.Itoa(int(f.Fd()))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
