package lifeboat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// unwrap takes the compression off a snapshot: gzip etcd-backup.snapshot, and
// what rke2, kOps, Gardener and others keep. One that is round a tar file is the
// archive's own.
func (o *opener) unwrap(ctx context.Context, r *bufio.Reader, head []byte) (*bufio.Reader, []byte, error) {
	if archive.Detect(head) == archive.Zip {
		plain, err := o.unzip(ctx, r)
		if err != nil {
			return nil, nil, err
		}
		r = bufio.NewReaderSize(plain, archive.DetectSize)
		if head, err = r.Peek(archive.DetectSize); err != nil && err != io.EOF {
			return nil, nil, err
		}
	}
	if archive.DetectInside(head) != archive.Bolt {
		return r, head, nil
	}
	format := archive.Detect(head)
	packed := &countedReader{r: r}
	plain, err := archive.Decompress(packed, o.opts.limits())
	if err != nil {
		return nil, nil, err
	}
	r = bufio.NewReaderSize(plain, archive.DetectSize)
	if head, err = r.Peek(archive.DetectSize); err != nil && err != io.EOF {
		return nil, nil, err
	}
	o.under(packed, Layer{Name: string(format), State: "whole", Detail: "read to its end, nothing follows", Of: "bytes"})
	return r, head, nil
}

// under notes a layer that is whole when what is in it has been read to its end.
// How much that was is known then alone.
func (o *opener) under(packed *countedReader, l Layer) {
	at := len(o.src.layers)
	o.src.layers = append(o.src.layers, l)
	o.ended = append(o.ended, func() { o.src.layers[at].Looked = packed.n })
}

// unzip gives what a zip file holds: the only file in it, else all of it as a
// tar file. Its directory stands at the end, so it is spooled.
func (o *opener) unzip(ctx context.Context, r io.Reader) (io.Reader, error) {
	file, _, err := o.opts.spool().Take(ctx, o.opts.bounded(r))
	if err != nil {
		return nil, err
	}
	o.zip = file // closed by release
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	zipped, err := archive.OpenZip(file, info.Size(), o.opts.limits())
	if err != nil {
		return nil, hintFormat(err)
	}
	plain, only, err := zipped.Only()
	if err != nil {
		return nil, err
	}
	o.src.layers = append(o.src.layers, Layer{Name: string(archive.Zip), State: "whole", Detail: "every file's checksum and length are right", Looked: info.Size(), Of: "bytes"})
	if !only {
		plain = zipped.Tar()
	}
	return plain, nil
}

// reader reads a stream as an archive: a tar file in whatever it is packed, or a
// zip file.
func (o *opener) reader(ctx context.Context, in io.Reader) (*archive.Reader, error) {
	buffered := bufio.NewReaderSize(in, archive.DetectSize)
	head, err := buffered.Peek(archive.DetectSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	in = buffered
	if archive.Detect(head) == archive.Zip {
		if in, err = o.unzip(ctx, buffered); err != nil {
			return nil, err
		}
	}
	reader, err := archive.NewReader(in, o.opts.limits())
	return reader, hintFormat(err)
}

// hintFormat names the command that takes off what is not taken off here.
func hintFormat(err error) error {
	if not := (*archive.NotArchiveError)(nil); errors.As(err, &not) {
		command := not.Format.Unwrap()
		if not.Outer != "" && command != "" {
			command = not.Outer.Unwrap() + " > FILE.unpacked, and of that " + command
		}
		switch {
		case not.Format == archive.Age && not.Outer != "":
			return withHint(err, not.Outer.Unwrap()+" > FILE.age, and give lifeboat that: what is encrypted is not looked for in a package")
		case not.Format == archive.Age:
			return withHint(err, "it was encrypted twice: lifeboat archive decrypt FILE --to INNER takes off one layer; give lifeboat INNER")
		case not.Format == archive.Delta:
			return withHint(err, "give the Full-* snapshot that it follows: lifeboat reads that; what came after it only etcdbrctl restore applies")
		case not.Format == archive.SQLite:
			return withHint(err, "k3s keeps its state in SQLite where it runs without etcd, and lifeboat reads etcd's: k3s server --cluster-init moves it to etcd")
		case not.Format == archive.Bolt:
			return withHint(err, "it is a snapshot and no archive: lifeboat inspect, get, extract and etcd read it as it is")
		case command != "":
			return withHint(err, command+" unwraps it: give lifeboat what comes out, as a file or as - through a pipe")
		}
	}
	return err
}

// hintPacked names what to do where an archive's snapshot is not plain to see.
func hintPacked(err error) error {
	e := (*archive.SnapshotError)(nil)
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case len(e.Found) > 1 && e.Wanted == "":
		return withHint(err, fmt.Sprintf("--snapshot-name NAME chooses one, as %q", e.Found[0]))
	case len(e.Wrapped) > 0:
		return withHint(err, fmt.Sprintf("take it out and give it to lifeboat by itself: tar -xOf FILE %q > inside; lifeboat inspect inside", e.Wrapped[0].Entry))
	case len(e.Suspects)+len(e.Inside) == 0 && errors.Is(err, archive.ErrNoSnapshot):
		return withHint(err, "give the file that etcdctl snapshot save wrote; lifeboat archive create makes one archive of it and /etc/kubernetes")
	}
	return err
}
