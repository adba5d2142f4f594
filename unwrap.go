package lifeboat

import (
	"bufio"
	"errors"
	"io"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// unwrap takes the compression off a snapshot: gzip etcd-backup.snapshot, and
// what rke2 and others keep. One that is round a tar file is the archive's own.
func (o *opener) unwrap(r *bufio.Reader, head []byte) (*bufio.Reader, []byte, error) {
	if archive.DetectInside(head) != archive.Bolt {
		return r, head, nil
	}
	format := archive.Detect(head)
	plain, err := archive.Decompress(r, o.opts.limits())
	if err != nil {
		return nil, nil, err
	}
	r = bufio.NewReaderSize(plain, archive.DetectSize)
	if head, err = r.Peek(archive.DetectSize); err != nil && err != io.EOF {
		return nil, nil, err
	}
	o.src.layers = append(o.src.layers, Layer{Name: string(format), State: "whole", Detail: "read to its end, nothing follows", Looked: int64(len(head)), Of: "bytes"})
	return r, head, nil
}

// hintFormat names the command that takes off what is not taken off here.
func hintFormat(err error) error {
	not := (*archive.NotArchiveError)(nil)
	if !errors.As(err, &not) {
		return err
	}
	command := not.Format.Unwrap()
	if not.Outer != "" && command != "" {
		command = not.Outer.Unwrap() + " > FILE.unpacked, and of that " + command
	}
	if command == "" {
		return err
	}
	return withHint(err, command+" unwraps it: give lifeboat what comes out, as a file or as - through a pipe")
}
