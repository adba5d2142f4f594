package bucket

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what stores call an ETag
	"hash"
	"io"
	"sync"
)

// pieces gives what one request after the other sends of an object, from 1 on, and
// io.EOF behind the last one. There is always one, which may be empty.
type pieces func(number int) (*piece, error)

// ofStream has the pieces of a stream in memory until they are sent.
func ofStream(content io.Reader, size int64) pieces {
	ended := false
	return func(number int) (*piece, error) {
		if ended {
			return nil, io.EOF
		}
		buffer := make([]byte, size)
		n, err := io.ReadFull(content, buffer)
		ended = err == io.EOF || err == io.ErrUnexpectedEOF
		switch {
		case err != nil && !ended:
			return nil, err
		case n == 0 && number > 1:
			return nil, io.EOF
		}
		return newPiece(bytes.NewReader(buffer), 0, int64(n)), nil
	}
}

// ofFile has the pieces of a file read when they are sent, and as often. count is
// told how many bytes more are on their way; less, when some go again.
func ofFile(file io.ReaderAt, total, size int64, count func(int64)) pieces {
	return func(number int) (*piece, error) {
		at := int64(number-1) * size
		if at >= total && number > 1 {
			return nil, io.EOF
		}
		p := newPiece(file, at, min(size, total-at))
		p.count = count
		return p, nil
	}
}

// piece is the content of one request, which the client reads again when it has to
// send it again.
type piece struct {
	io.ReaderAt
	size  int64
	count func(int64) // nil for nobody

	mu   sync.Mutex // a try that was given up may read on
	from *io.SectionReader
	read int64
	err  error // of reading: the client takes it for the store's
}

func newPiece(from io.ReaderAt, at, size int64) *piece {
	section := io.NewSectionReader(from, at, size)
	return &piece{ReaderAt: section, from: section, size: size}
}

func (p *piece) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.from.Read(b)
	p.went(int64(n))
	if err == io.EOF && p.read < p.size {
		err = io.ErrUnexpectedEOF // it was longer when it was summed up
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// Seek goes back for another try. There is none after an error of the file's.
func (p *piece) Seek(offset int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	at, err := p.from.Seek(offset, whence)
	p.went(at - p.read)
	return at, err
}

func (p *piece) went(n int64) {
	p.read += n
	if p.count != nil && n != 0 {
		p.count(n)
	}
}

// failed is why the piece could not be read, nil when it could.
func (p *piece) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *piece) md5() ([]byte, error) { return p.sum(md5.New()) } //nolint:gosec // as above

// sum sums the piece up, which is not counted.
func (p *piece) sum(h hash.Hash) ([]byte, error) {
	_, err := io.CopyBuffer(h, struct{ io.Reader }{io.NewSectionReader(p, 0, p.size)}, make([]byte, 256<<10))
	return h.Sum(nil), err
}
