package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// Reader reads an archive from its first byte to its last.
type Reader struct {
	limits Limits
	stream *unpacked
	blocks *blocks
	tar    *tar.Reader
	names  names

	entry   *Entry        // the current one, nil outside of one
	content *bufio.Reader // its content
	number  int           // entries met so far, links among them
	logical int64         // sum of all sizes, holes of sparse files included
	found   databases
	facts   []Fact
	links   []Link

	absolute  bool // a name was made relative
	again     int  // names that came again
	againFact int  // where among the facts that is said

	err error // sticky, io.EOF included
}

// NewReader opens an archive that is decrypted already. It reads as far as
// its first 64 KiB, packed and unpacked.
//
// Errors: *NotArchiveError when src is something else, *DamagedError,
// *PolicyError; an error of src comes through wrapped.
func NewReader(src io.Reader, limits Limits) (*Reader, error) {
	limits = limits.withDefaults()
	from := &source{r: src}
	br := bufio.NewReaderSize(from, DetectSize)
	head, err := br.Peek(DetectSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading the first bytes: %w", err)
	}
	outer := Detect(head)
	if outer != Gzip && outer != Zstd && outer != Tar {
		return nil, &NotArchiveError{Format: outer}
	}
	stream := &unpacked{layer: outer, src: from, max: limits.MaxBytes, plain: limits.Beginning}
	if err := stream.decompress(br); err != nil {
		return nil, err
	}
	r := &Reader{limits: limits, stream: stream, names: names{}}
	r.blocks = &blocks{r: bufio.NewReaderSize(stream, DetectSize), budget: -1}
	r.tar = tar.NewReader(r.blocks)
	r.content = bufio.NewReaderSize(r.tar, DetectSize)
	if outer != Tar {
		return r, r.checkInner()
	}
	return r, nil
}

// checkInner makes sure that the compressed thing is a tar file. A damaged
// compressed file unpacks to garbage before its checksum says so; that is
// looked for, since "not an archive" would be the wrong answer.
func (r *Reader) checkInner() error {
	head, err := r.blocks.r.Peek(DetectSize)
	format := Detect(head)
	if format == Tar {
		return nil // an error in these bytes comes again when they are read
	}
	if err == nil {
		err = r.drain()
	}
	if err != nil && err != io.EOF {
		return err
	}
	return &NotArchiveError{Outer: r.stream.layer, Format: format}
}

// drain reads on in search of a layer's own error, far enough for real
// backups and not forever.
func (r *Reader) drain() error {
	const most = 1 << 30
	r.blocks.budget = -1
	_, err := io.CopyN(io.Discard, r.blocks, most)
	return err
}

// Format is the archive's outermost layer: Gzip, Zstd or Tar.
func (r *Reader) Format() Format { return r.stream.layer }

// Checksummed tells whether a checksum covers the archive, so that reading it
// to the end proves that it is whole: gzip has one, a zstd file has one unless
// its writer left it out, a bare tar file has none.
func (r *Reader) Checksummed() bool { return r.stream.checked }

// Padding counts the zero bytes behind the compressed layer's end, which tapes
// and dd leave and every decompressor passes over.
func (r *Reader) Padding() int64 { return r.stream.padding }

// Facts are what was noticed so far; complete after Next gave io.EOF.
func (r *Reader) Facts() []Fact { return r.facts }

// Links are the links that were passed over so far.
func (r *Reader) Links() []Link { return r.links }

// Next goes to the next file or folder; what is left of the current one is
// skipped, links are passed over. io.EOF says that the archive was read to its
// very end and that every layer is whole.
func (r *Reader) Next() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	entry, err := r.next()
	if err != nil {
		entry, r.err = nil, err
	}
	r.entry = entry
	return entry, err
}

func (r *Reader) next() (*Entry, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	for {
		start := (r.blocks.offset + blockSize - 1) / blockSize * blockSize
		r.blocks.budget = maxHeaders
		header, err := r.tar.Next()
		r.blocks.budget = -1
		r.entry = nil
		switch {
		case err == io.EOF:
			if err = r.finish(); err == io.EOF {
				r.noteUnopened()
			}
			return nil, err
		case errors.Is(err, errBudget):
			return nil, &PolicyError{Number: r.number + 1, Offset: start, Reason: err.Error()}
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // admit has the say about names
			return nil, r.fail(err)
		}
		insecure := err != nil
		entry, err := r.admit(header, start)
		if err == nil && insecure && entry != nil && !filepath.IsLocal(entry.Name) {
			err = &PolicyError{Entry: header.Name, Number: r.number, Offset: start, Reason: "a name that leads out of the folder"}
		}
		if err != nil {
			return nil, err
		}
		if entry != nil {
			return entry, r.look(entry)
		}
		if _, err := io.Copy(io.Discard, r.tar); err != nil { // of what was left out, without the bound on headers
			return nil, r.fail(err)
		}
	}
}

// look tells an entry by its first bytes.
func (r *Reader) look(e *Entry) error {
	r.entry = e
	if e.Kind == Directory {
		return nil
	}
	head, err := r.content.Peek(int(min(e.Size, DetectSize)))
	if err != nil && err != io.EOF {
		return r.fail(err)
	}
	e.Format = Detect(head)
	inside := Unknown
	switch e.Format {
	case Apple: // under the name of what it stands beside
		e.Kind = Other
	case Gzip, Zstd:
		if inside = DetectInside(head); inside == Bolt {
			e.Inside = Bolt
		}
	}
	r.lookForDatabase(e, inside)
	return nil
}

// Read reads the content of the current entry; io.EOF is its end.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.entry == nil || r.entry.Kind == Directory {
		return 0, io.EOF
	}
	n, err := r.content.Read(p)
	if err != nil && err != io.EOF {
		r.err = r.fail(err)
		return n, r.err
	}
	return n, err
}

// fail finds the layer that an error of archive/tar comes from.
func (r *Reader) fail(err error) error {
	offset := r.blocks.offset
	if r.stream.err == nil {
		_ = r.drain() // its error stays in r.stream
	}
	damaged := DamagedError{Layer: string(Tar), Offset: offset, Err: err}
	if cause := r.stream.err; cause != nil && cause != io.EOF {
		var below *DamagedError
		if !errors.As(cause, &below) || below.Layer != string(r.stream.layer) {
			return cause
		}
		damaged = *below
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		damaged.Err = fmt.Errorf("cut short: %w", io.ErrUnexpectedEOF)
	}
	if r.entry != nil {
		damaged.Entry, damaged.Number = r.entry.Name, r.entry.Number
	}
	return &damaged
}

// finish reads what stands behind the last entry, to the end of every layer.
func (r *Reader) finish() error {
	if r.blocks.ended {
		return &DamagedError{Layer: string(Tar), Offset: r.blocks.offset, Err: ErrNoEnd}
	}
	block := make([]byte, blockSize)
	for {
		offset := r.blocks.offset
		n, err := io.ReadFull(r.blocks, block)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return r.fail(err)
		}
		if !isZero(block[:n]) {
			return r.trailing(offset, block[:n])
		}
		if r.blocks.ended {
			return io.EOF
		}
	}
}

// trailing judges what follows tar's end. Other programs would read an
// appended archive, or would not; so it is refused, while anything else is
// damage. Damage of a layer below comes first.
func (r *Reader) trailing(offset int64, block []byte) error {
	_ = r.drain()
	if cause := r.stream.err; cause != nil && cause != io.EOF {
		return r.fail(cause)
	}
	if Detect(block) == Tar {
		return &PolicyError{Offset: offset, Reason: "a second archive is appended to it", Err: ErrTrailing}
	}
	return &DamagedError{Layer: string(Tar), Offset: offset, Err: fmt.Errorf("%w after the end of the archive", ErrTrailing)}
}
