package archive

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzipReader reads gzip members one after another, and the zero bytes that
// tapes and dd leave behind the last of them, as gzip itself does.
type gzipReader struct {
	src     *bufio.Reader
	z       *gzip.Reader
	padding *int64 // the zero bytes met
}

func newGzipReader(src *bufio.Reader, padding *int64) (*gzipReader, error) {
	g := &gzipReader{src: src, z: new(gzip.Reader), padding: padding}
	return g, g.begin()
}

// begin reads the next member's header.
func (g *gzipReader) begin() error {
	err := g.z.Reset(g.src)
	if err == io.EOF { // cut within its first ten bytes
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		g.z.Multistream(false)
	}
	return err
}

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err != io.EOF {
		return n, err
	}
	if err := g.next(); err != nil {
		return n, err
	}
	return n, nil
}

// next goes from the end of one member to the next; io.EOF is the end of all.
func (g *gzipReader) next() error {
	head, err := g.src.Peek(1)
	if err != nil {
		return err
	}
	if head[0] != 0 {
		return g.begin()
	}
	n, err := countZeros(g.src)
	*g.padding = n
	if err == nil {
		err = gzip.ErrHeader // something else stands behind them
	}
	return err
}

// countZeros reads zero bytes to the end, where it gives io.EOF, or to another
// byte, where it gives nil.
func countZeros(r io.Reader) (int64, error) {
	buffer, count := make([]byte, 32<<10), int64(0)
	for {
		n, err := r.Read(buffer)
		if !isZero(buffer[:n]) {
			return count, nil
		}
		count += int64(n)
		if err != nil {
			return count, err
		}
	}
}

// lastRead keeps the last four bytes that were read: zstd's decoder has taken a
// frame's magic number when it says that there is none.
type lastRead struct {
	r    io.Reader
	last []byte
}

func (l *lastRead) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.last = append(l.last, p[max(n-4, 0):n]...)
	l.last = bytes.Clone(l.last[max(len(l.last)-4, 0):])
	return n, err
}

// zerosFollow tells the zero bytes behind zstd's last frame from anything else.
func (u *unpacked) zerosFollow() bool {
	if u.magic == nil || !isZero(u.magic.last) {
		return false
	}
	n, err := countZeros(u.magic.r)
	if err != io.EOF {
		return false
	}
	u.padding = n + int64(len(u.magic.last))
	return true
}

// exactEnd looks behind the end of a stream that does not do so itself.
type exactEnd struct {
	io.Reader
	src *bufio.Reader
}

func (e *exactEnd) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		if _, more := e.src.Peek(1); more == nil {
			err = ErrTrailing
		}
	}
	return n, err
}
