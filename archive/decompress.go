package archive

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Decompress unpacks what is compressed with gzip, zstd or zlib and is not an archive: a
// snapshot that somebody packed. Reading to io.EOF proves that it is whole, as
// with a Reader.
//
// Errors: *NotArchiveError when src is compressed in another way or not at all;
// else as of NewReader.
func Decompress(src io.Reader, limits Limits) (io.Reader, error) {
	from := &source{r: src}
	br := bufio.NewReaderSize(from, DetectSize)
	head, err := br.Peek(DetectSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading the first bytes: %w", err)
	}
	outer := Detect(head)
	if outer != Gzip && outer != Zstd && outer != Zlib {
		return nil, &NotArchiveError{Format: outer}
	}
	stream := &unpacked{layer: outer, src: from, max: limits.withDefaults().MaxBytes}
	return stream, stream.decompress(br)
}

// DetectInside tells what the first bytes of a gzip, zstd or zlib file unpack to, and
// Unknown for any other file.
func DetectInside(head []byte) Format {
	var r io.Reader
	switch Detect(head) {
	case Gzip:
		z, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return Unknown
		}
		r = z
	case Zstd:
		z, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return Unknown
		}
		defer z.Close()
		r = z
	case Zlib:
		z, err := zlib.NewReader(bytes.NewReader(head))
		if err != nil {
			return Unknown
		}
		r = z
	default:
		return Unknown
	}
	inside := make([]byte, DetectSize)
	n, _ := io.ReadFull(r, inside) // cut where head is
	if n == 0 {
		return Unknown
	}
	return Detect(inside[:n])
}
