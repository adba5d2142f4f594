// Package ctxio lets a context end what is read.
package ctxio

import (
	"context"
	"io"
)

// Reader reads from r until ctx ends; from then on its error is ctx's.
func Reader(ctx context.Context, r io.Reader) io.Reader { return &reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (c *reader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
