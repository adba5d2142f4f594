package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// beginning is how much the first read of an object asks for: enough to tell
// what an archive is, so that whoever wants no more costs one small request.
const beginning = 256 << 10

// tries is how often a read goes on after the store broke off, beside what the
// client tries by itself.
const tries = 4

// object is an archive in a bucket. It is read as it was listed or not at all:
// every request names the version.
type object struct {
	ctx context.Context
	b   *Bucket
	e   place.Entry

	at    int64 // where Read stands
	until int64 // where the request at hand ends
	body  *timed
}

var _ place.File = (*object)(nil)

// get asks for the bytes from, up to but without to.
func (o *object) get(from, to int64) (*timed, error) {
	ctx, cancel := context.WithCancel(o.ctx)
	opts := minio.GetObjectOptions{}
	if err := errors.Join(opts.SetRange(from, to-1), opts.SetMatchETag(o.e.Version)); err != nil {
		cancel()
		return nil, err
	}
	body, info, _, err := o.b.core.GetObject(ctx, o.b.name, o.b.prefix+o.e.Name, opts)
	if err != nil {
		cancel()
		if err = explain(err); errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			err = place.ErrReplaced // the precondition is the version
		}
		return nil, err
	}
	if info.Size != to-from {
		cancel()
		return nil, errors.Join(fmt.Errorf("the store answers %d bytes where it was asked for %d", info.Size, to-from), body.Close())
	}
	return &timed{body, cancel, time.AfterFunc(stall, cancel)}, nil
}

// Read goes on where the last one ended, also when the store breaks off.
func (o *object) Read(p []byte) (int, error) {
	for try := 0; ; try++ {
		if o.at == o.e.Size {
			return 0, io.EOF
		}
		n, err := o.read(p)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		if errors.Is(err, place.ErrReplaced) || errors.Is(err, fs.ErrPermission) || o.ctx.Err() != nil || try == tries {
			return 0, o.failed(o.at, err)
		}
		if err := pause(o.ctx, try); err != nil {
			return 0, err
		}
	}
}

// failed is an error of the store. That it broke off must not pass for the end of
// what was once written.
func (o *object) failed(at int64, err error) error {
	switch {
	case o.ctx.Err() != nil:
		return o.ctx.Err()
	case errors.Is(err, place.ErrReplaced), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("reading at %d: %w", at, err)
	}
	return fmt.Errorf("reading at %d, %d times: %v", at, tries+1, err) //nolint:errorlint // see above
}

func (o *object) read(p []byte) (int, error) {
	if o.body == nil {
		end := o.e.Size
		if o.at == 0 { // who reads on asks for all the rest
			end = min(end, beginning)
		}
		body, err := o.get(o.at, end)
		if err != nil {
			return 0, err
		}
		o.body, o.until = body, end
	}
	n, err := o.body.Read(p[:min(int64(len(p)), o.until-o.at)])
	o.at += int64(n)
	if o.at == o.until || err != nil {
		closed := o.body.Close()
		o.body = nil
		if o.at == o.until {
			return n, closed
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the store broke off
		}
	}
	return n, err
}

// Seek says where Read goes on; only from the beginning.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 || offset > o.e.Size {
		return 0, fs.ErrInvalid
	}
	_ = o.Close() // it returns nil
	o.at = offset
	return offset, nil
}

// ReadAt reads a range by a request of its own.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	end := min(off+int64(len(p)), o.e.Size)
	if off < 0 || off >= o.e.Size {
		return 0, io.EOF
	}
	for try := 0; ; try++ {
		n, err := o.readAt(p[:end-off], off, end)
		switch {
		case err == nil && n < len(p):
			return n, io.EOF
		case err == nil:
			return n, nil
		case errors.Is(err, place.ErrReplaced) || o.ctx.Err() != nil || try == tries:
			return n, o.failed(off, err)
		}
		if err := pause(o.ctx, try); err != nil {
			return n, err
		}
	}
}

func (o *object) readAt(p []byte, from, to int64) (int, error) {
	body, err := o.get(from, to)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p)
	return n, errors.Join(err, body.Close())
}

// Close ends the request at hand.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	body := o.body
	o.body = nil
	_ = body.Close() // it was read as far as anybody wanted
	return nil
}

// timed is a body that ends when the store says nothing for too long.
type timed struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

func (t *timed) Read(p []byte) (int, error) {
	t.timer.Reset(stall)
	return t.ReadCloser.Read(p)
}

// Close gives up the request.
func (t *timed) Close() error {
	t.timer.Stop()
	t.cancel()
	return t.ReadCloser.Close()
}

// pause waits longer with each try.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(min(100*time.Millisecond<<try, 5*time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
