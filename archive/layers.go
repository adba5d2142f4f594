package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// source is the caller's reader: it counts, and keeps the first error, so that
// a disk error or a damaged age chunk is not taken for damage of the layer
// above it. (klauspost/compress/zstd takes io.ErrUnexpectedEOF before a frame
// for a clean end.)
type source struct {
	r    io.Reader
	read int64
	err  error // io.EOF included
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	s.err = err
	return n, err
}

// failed is the error of src itself, nil while it reads or at its end.
func (s *source) failed() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// unpacked is what comes out of the decompressor, counted and bounded. Its
// errors are sorted already and stick.
type unpacked struct {
	r       io.Reader
	layer   Format // "gzip" or "zstd"; "tar" for none
	src     *source
	offset  int64
	max     int64
	plain   bool      // nothing is unpacked ahead
	checked bool      // the layer carries a checksum
	padding int64     // zero bytes behind the layer's end
	magic   *lastRead // of zstd
	err     error
}

// members reads gzip on all cores, nil where that is not asked for or cannot be.
func (u *unpacked) members(br *bufio.Reader) *memberReader {
	if u.plain {
		return nil
	}
	return newMemberReader(br, &u.padding)
}

func (u *unpacked) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	u.offset += int64(n)
	switch {
	case u.offset > u.max:
		u.err = &PolicyError{Offset: u.max, Reason: fmt.Sprintf("it unpacks to more than %d bytes", u.max)}
		return 0, u.err
	case err == io.EOF, u.offset > 0 && errors.Is(err, zstd.ErrMagicMismatch) && u.zerosFollow():
		u.err = u.atEnd()
	case err != nil:
		u.err = u.sort(err)
	}
	if n > 0 {
		return n, nil // u.err is for the next call
	}
	return 0, u.err
}

// atEnd makes sure that the decompressor's end is the end of src.
func (u *unpacked) atEnd() error {
	if err := u.src.failed(); err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}
	if u.src.err == nil {
		return &DamagedError{Layer: string(u.layer), Offset: u.src.read, Err: ErrTrailing}
	}
	return io.EOF
}

// sort tells an error of src from a refusal and from damage.
func (u *unpacked) sort(err error) error {
	if failed := u.src.failed(); failed != nil {
		return fmt.Errorf("reading the archive: %w", failed)
	}
	damaged := &DamagedError{Layer: string(u.layer), Offset: u.src.read, Err: err}
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return &PolicyError{Offset: u.offset, Reason: windowReason, Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		damaged.Err = fmt.Errorf("cut short: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		if u.offset > 0 { // whole members or frames came before
			damaged.Err = fmt.Errorf("%w: not the start of another %s member: %w", ErrTrailing, u.layer, err)
		}
	}
	return damaged
}

const windowReason = "its zstd window is larger than 128 MiB"

// decompress puts the decompressor over src. br must read from u.src.
func (u *unpacked) decompress(br *bufio.Reader) error {
	switch u.layer {
	case Gzip:
		if m := u.members(br); m != nil {
			u.r, u.checked = m, true
			return nil
		}
		z, err := newGzipReader(br, &u.padding)
		if err != nil {
			return u.sort(err)
		}
		u.r, u.checked = z, true
	case Zlib:
		z, err := zlib.NewReader(br)
		if err != nil {
			return u.sort(err)
		}
		u.r, u.checked = &exactEnd{z, br}, true
	case Zstd:
		if err := u.checkWindow(br); err != nil {
			return err
		}
		// One decoder, no goroutine: nothing is left behind when the caller
		// stops reading. MaxMemory bounds the window of single-segment frames,
		// MaxWindow that of all others.
		u.magic = &lastRead{r: br}
		z, err := zstd.NewReader(u.magic, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return u.sort(err)
		}
		u.r = z
	default:
		u.r = br
	}
	return nil
}

// checkWindow refuses a large window by the first frame's header. Later on the
// decoder gives the same error for a window that is too large and for a
// damaged block.
func (u *unpacked) checkWindow(br *bufio.Reader) error {
	head, err := br.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return u.sort(err)
	}
	var header zstd.Header
	if header.Decode(head) != nil {
		return nil //nolint:nilerr // damaged or cut: the decoder says how
	}
	window := header.WindowSize
	if header.SingleSegment {
		window = header.FrameContentSize
	}
	if !header.Skippable && window > maxWindow {
		return &PolicyError{Reason: windowReason}
	}
	u.checked = header.HasCheckSum
	return nil
}

// blocks is the tar stream as archive/tar reads it: unpacked, behind the
// buffer that Detect looked into, with a bound on headers.
type blocks struct {
	r      *bufio.Reader
	offset int64
	budget int64 // bytes until errBudget; negative for no such bound
	ended  bool  // the stream's end was met
}

// errBudget stops an entry whose headers have no end.
var errBudget = errors.New("its headers exceed 4 MiB")

func (b *blocks) Read(p []byte) (int, error) {
	if b.budget == 0 {
		return 0, errBudget
	}
	if b.budget > 0 {
		p = p[:min(int64(len(p)), b.budget)]
	}
	n, err := b.r.Read(p)
	b.offset += int64(n)
	if b.budget > 0 {
		b.budget -= int64(n)
	}
	b.ended = b.ended || err == io.EOF
	return n, err
}
