package datadir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// segment is one file of a log.
type segment struct {
	path       string
	seq, first uint64 // its number, and the index after the last one of the file before
}

// segmentsOf lists the files of a log in their order. What else stands in the
// folder (0.tmp, preallocated; *.broken, left by a repair) is not a part of it.
// A folder that does not exist is a log without files.
func segmentsOf(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var segments []segment
	for _, e := range entries {
		s := segment{path: filepath.Join(dir, e.Name())}
		_, err := fmt.Sscanf(e.Name(), "%016x-%016x.wal", &s.seq, &s.first)
		if err != nil || e.Name() != fmt.Sprintf("%016x-%016x.wal", s.seq, s.first) {
			continue
		}
		if file, err := isFile(s.path); err != nil || !file { // a link to one is
			continue
		}
		segments = append(segments, s)
	}
	slices.SortFunc(segments, func(a, b segment) int {
		switch {
		case a.seq < b.seq:
			return -1
		case a.seq > b.seq:
			return 1
		}
		return 0
	})
	return segments, nil
}

// decoder is etcd's decoder over one segment. It is made for etcd's own files
// and panics on some others.
type decoder struct{ wal.Decoder }

func newDecoder(file *os.File) (*decoder, error) {
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%q is not a regular file", file.Name()))
	}
	return &decoder{wal.NewDecoder(fileutil.NewFileReader(file))}, nil
}

// next reads a record. io.EOF is the end of the file or of what was written of
// it, io.ErrUnexpectedEOF a record that was cut off.
func (d *decoder) next(rec *walpb.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return d.Decode(rec)
}

// nonZero counts the bytes from offset on that are not zero.
func nonZero(file *os.File, offset int64) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(file, offset, max(0, info.Size()-offset)), 256<<10)
	buf, count := make([]byte, 64<<10), int64(0)
	for {
		n, err := r.Read(buf)
		count += int64(n - bytes.Count(buf[:n], []byte{0}))
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
