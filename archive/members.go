package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// memberReader unpacks gzip members side by side, where their headers say how
// long they are (see members). Whatever is not as it should be (a header of
// another kind, a length that lies, a wrong checksum, a member that unpacks to
// more than we write) is left to the plain gzip reader, from that member's
// first byte on: the bytes and the errors are the same as if it had read all.
//
// Each member is read by the caller of Read and unpacked by a goroutine that
// ends by itself, so nothing is left behind when the caller stops.
type memberReader struct {
	src     *bufio.Reader
	queue   []*member
	ended   bool      // src has no further member of ours
	failed  error     // of src
	current *member   // being handed out
	rest    []byte    // of its content
	plain   io.Reader // once something was not as it should be
	padding *int64    // zero bytes behind the last member
	readers sync.Pool // of *gzip.Reader
	buffers sync.Pool // of *[]byte
}

// member is one member on its way.
type member struct {
	packed  []byte
	content *[]byte
	ok      bool
	done    chan struct{}
}

const (
	minMember = extraAt + extraSize + 8 // header and trailer
	maxMember = memberSize + memberSize/8
)

// newMemberReader gives nil when the first member is not one of ours.
func newMemberReader(src *bufio.Reader, padding *int64) *memberReader {
	if memberLength(src) == 0 {
		return nil
	}
	return &memberReader{src: src, padding: padding}
}

// memberLength looks at the next header and gives the member's length, 0 for
// one of another kind.
func memberLength(src *bufio.Reader) int {
	head, err := src.Peek(extraAt + extraSize)
	if err != nil || !bytes.HasPrefix(head, []byte("\x1f\x8b\x08\x04")) || !bytes.Equal(head[10:16], []byte("\x08\x00IG\x04\x00")) {
		return 0
	}
	n := binary.LittleEndian.Uint32(head[extraAt+4:])
	if n < minMember || n > maxMember {
		return 0
	}
	return int(n)
}

func (m *memberReader) Read(p []byte) (int, error) {
	if m.plain != nil {
		return m.plain.Read(p)
	}
	for len(m.rest) == 0 {
		if err := m.next(); err != nil {
			return 0, err
		}
		if m.plain != nil {
			return m.plain.Read(p)
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// next brings the next member's content, or the end.
func (m *memberReader) next() error {
	if m.current != nil {
		m.buffers.Put(m.current.content)
		m.current = nil
	}
	m.fill()
	if len(m.queue) == 0 {
		if m.failed != nil {
			return m.failed
		}
		if _, err := m.src.Peek(1); err != nil {
			return err // io.EOF, or that of the source
		}
		return m.fallBack(nil)
	}
	first := m.queue[0]
	<-first.done
	if !first.ok {
		return m.fallBack(m.queue)
	}
	m.queue = m.queue[1:]
	m.current, m.rest = first, *first.content
	return nil
}

// fill reads members ahead and lets them be unpacked.
func (m *memberReader) fill() {
	for len(m.queue) < 2*runtime.GOMAXPROCS(0) && !m.ended {
		n := memberLength(m.src)
		if n == 0 {
			m.ended = true
			return
		}
		next := &member{packed: make([]byte, n), done: make(chan struct{})}
		got, err := io.ReadFull(m.src, next.packed)
		if err != nil { // cut short: the plain reader says so in its own words
			next.packed, m.ended = next.packed[:got], true
			if err != io.ErrUnexpectedEOF && err != io.EOF {
				m.failed = err
				return
			}
		}
		m.queue = append(m.queue, next)
		go m.unpack(next)
	}
}

// unpack fills in one member's content, if it is what its header says.
func (m *memberReader) unpack(next *member) {
	defer close(next.done)
	content, _ := m.buffers.Get().(*[]byte)
	if content == nil {
		buffer := make([]byte, memberSize+1)
		content = &buffer
	}
	*content = (*content)[:cap(*content)]
	next.content = content
	src := bytes.NewReader(next.packed)
	z, _ := m.readers.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer m.readers.Put(z)
	if z.Reset(src) != nil {
		return
	}
	z.Multistream(false)
	// A read of everything and a byte more ends at the checksum.
	n, err := io.ReadFull(z, *content)
	next.ok = (err == io.ErrUnexpectedEOF || err == io.EOF) && src.Len() == 0 && endsWell(z)
	*content = (*content)[:n]
}

// endsWell tells the end of a member from one that was cut: io.ReadFull gives
// io.ErrUnexpectedEOF for both, the reader itself keeps its error.
func endsWell(z *gzip.Reader) bool {
	_, err := z.Read(make([]byte, 1))
	return err == io.EOF
}

// fallBack gives everything from the first of queue on to the plain reader.
func (m *memberReader) fallBack(queue []*member) error {
	var parts []io.Reader
	for _, next := range queue {
		<-next.done
		parts = append(parts, bytes.NewReader(next.packed))
	}
	m.queue = nil
	if m.failed != nil {
		parts = append(parts, failingReader{m.failed})
	}
	plain := &gzipReader{src: bufio.NewReader(io.MultiReader(append(parts, m.src)...)), z: new(gzip.Reader), padding: m.padding}
	m.plain = plain
	return plain.next()
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
