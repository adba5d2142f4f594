package lifeboat

import (
	"context"
	"fmt"
	"io"
)

// phase is a Phase that may be of nobody, and counts what is read.
type phase struct{ Phase }

func (o Observer) start(name string, total int64) phase {
	if o.Progress == nil {
		return phase{unobserved{}}
	}
	return phase{o.Progress(name, total)}
}

func (o Observer) warn(format string, args ...any) {
	if o.Warn != nil {
		o.Warn(fmt.Sprintf(format, args...))
	}
}

func (o Observer) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, args...))
	}
}

type unobserved struct{}

func (unobserved) Add(int64) {}
func (unobserved) Done()     {}

// reader counts what is read from r, and ends when ctx does.
func (p phase) reader(ctx context.Context, r io.Reader) io.Reader {
	return &observedReader{ctx: ctx, r: r, phase: p}
}

type observedReader struct {
	ctx   context.Context
	r     io.Reader
	phase Phase
}

func (o *observedReader) Read(buf []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := o.r.Read(buf)
	o.phase.Add(int64(n))
	return n, err
}

// countedReader knows how much was read.
type countedReader struct {
	r io.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// boundedReader refuses a stream that has more bytes than MaxSize; a database
// that comes by itself through a pipe has no other bound.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, refusef("it has more bytes than --max-size allows")
	}
	return n, err
}

func (o Options) bounded(r io.Reader) io.Reader {
	if o.MaxSize <= 0 {
		return r
	}
	return &boundedReader{r: r, left: o.MaxSize}
}
