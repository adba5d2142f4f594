package lifeboat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// Stream is a file without its age layer, if it has one. What was read of it
// counts when Read gave io.EOF, and not before.
type Stream struct {
	io.Reader
	Info crypto.Info // of the age layer

	opener *opener
	done   func() error
}

// Close ends the reading.
func (s *Stream) Close() error { return s.done() }

// Decrypt opens a file, "-" for Options.Stdin, as a stream of plaintext, its
// signature checked where PubKey asks for it. The caller closes the Stream.
func Decrypt(ctx context.Context, path string, opts Options) (*Stream, error) {
	o := newOpener(path, opts)
	s, err := o.decrypt(ctx)
	if err != nil {
		o.release()
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return s, nil
}

// archive reads the stream as an archive.
func (s *Stream) archive(ctx context.Context) (*archive.Reader, error) {
	reader, err := s.opener.reader(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", s.opener.src.path, err)
	}
	return reader, nil
}

func (o *opener) decrypt(ctx context.Context) (*Stream, error) {
	if err := o.locate(ctx); err != nil {
		return nil, err
	}
	if err := o.checkSignature(ctx); err != nil {
		return nil, err
	}
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	in, done := o.stdin(), func() error { return nil }
	if o.src.path != "-" {
		file, err := o.file(ctx)
		if err != nil {
			return nil, plainCause(err)
		}
		if file.regular {
			o.src.size = file.size
		}
		in, done = file, file.Close
	}
	phase := o.opts.Observer.start("reading "+o.src.path, o.src.size)
	plain, info, err := crypto.NewReader(phase.reader(ctx, in), keys)
	if err != nil {
		phase.Done()
		return nil, errors.Join(err, done())
	}
	if info.Encrypted {
		o.noteUnsigned()
	}
	return &Stream{plain, info, o, func() error { phase.Done(); o.release(); return done() }}, nil
}

// EachEntry reads an archive to the end of every layer and hands each file and
// folder in it to do. The Reader that it returns knows the facts and links.
func EachEntry(ctx context.Context, path string, opts Options, do func(*archive.Entry, io.Reader) error) (*archive.Reader, error) {
	in, err := Decrypt(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reader, err := in.archive(ctx)
	if err != nil {
		return nil, err
	}
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			return reader, nil
		}
		if err == nil {
			err = do(entry, reader)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", path, err)
		}
	}
}

// Sealed is a file as it stands, its signature checked where PubKey asks for
// it, with the keys that Options give to open it.
type Sealed struct {
	io.ReadCloser
	Size int64 // 0 for standard input
	Keys crypto.Keys
}

// OpenSealed opens a file, "-" for Options.Stdin, without a look at what it is.
func OpenSealed(ctx context.Context, path string, opts Options) (*Sealed, error) {
	return newOpener(path, opts).sealed(ctx)
}

func (o *opener) sealed(ctx context.Context) (*Sealed, error) {
	defer o.release()
	err := o.locate(ctx)
	if err == nil {
		err = o.checkSignature(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", o.src.path, err)
	}
	keys, err := o.keys()
	if err != nil {
		return nil, err
	}
	if o.src.path == "-" {
		return &Sealed{ReadCloser: io.NopCloser(o.stdin()), Keys: keys}, nil
	}
	file, err := o.file(ctx)
	if errors.Is(err, errIsFolder) {
		err = &Error{Class: Failed, Err: fmt.Errorf("%q is a folder", o.src.path)}
	}
	if err != nil {
		return nil, err
	}
	return &Sealed{file, file.size, keys}, nil
}

// Unpack unpacks an archive below root. It is whole when there is no error: all
// layers were read to their end, and where the whole archive was asked for its
// manifest was held against the content.
func Unpack(ctx context.Context, path string, opts Options, root *os.Root, how archive.UnpackOptions) (*archive.Unpacked, error) {
	in, err := Decrypt(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reader, err := in.archive(ctx)
	if err != nil {
		return nil, err
	}
	var inventory archive.Inventory
	if len(how.Paths) == 0 {
		how.Watch = inventory.Watch // of a part, the manifest is not held against the rest
	}
	done, err := archive.Unpack(ctx, reader, root, how)
	if err != nil {
		return nil, fmt.Errorf("unpacking %q: %w", path, err)
	}
	if wrong := inventory.Check(reader.Links()); len(wrong) > 0 {
		return nil, fmt.Errorf("unpacking %q: %w", path, &archive.DamagedError{Layer: "manifest", Err: errors.New(wrong[0])})
	}
	return done, nil
}
