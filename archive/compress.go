package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression says how an archive is packed. The zero value is gzip at its
// default level.
type Compression struct {
	Format Format // Gzip, Zstd, or Tar for none; "" is Gzip

	// Level is gzip's 1 to 9 (default 5, about what gzip -6 reaches) or zstd's 1
	// to 4 (fastest, default, better, best); 0 is the default.
	Level int
}

// The defaults were chosen on etcd data, see BenchmarkArchive of cmd/lifeboat:
// gzip 5 of klauspost/compress stays within 5 % of the size that gzip -6
// reaches, at more than twice the speed.
const (
	defaultGzipLevel = 5
	maxZstdLevel     = 4
)

// memberSize is the content of one gzip member. Each begins without the 32 KiB
// of history that one stream would have: on etcd's data members of 2 MiB are
// 1 % smaller than of 1 MiB, and of 4 MiB another 1 %, for twice the memory.
const memberSize = 2 << 20

// compressor packs what is written to it. Close ends the packed stream and
// does not close the writer below.
func (c Compression) compressor(dst io.Writer) (io.WriteCloser, error) {
	switch c.Format {
	case Gzip, "":
		level := c.Level
		if level == 0 {
			level = defaultGzipLevel
		}
		if level < gzip.BestSpeed || level > gzip.BestCompression {
			return nil, fmt.Errorf("compressing: gzip has levels 1 to 9, not %d", level)
		}
		return newMembers(dst, level), nil
	case Zstd:
		if c.Level < 0 || c.Level > maxZstdLevel {
			return nil, fmt.Errorf("compressing: zstd has levels 1 to 4, not %d", c.Level)
		}
		level := zstd.SpeedDefault
		if c.Level > 0 {
			level = zstd.EncoderLevel(c.Level)
		}
		return zstd.NewWriter(dst, zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(true),
			zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithWindowSize(8<<20))
	case Tar:
		return noCompression{dst}, nil
	default:
		return nil, fmt.Errorf("compressing: unknown format %q: gzip, zstd or none", string(c.Format))
	}
}

type noCompression struct{ io.Writer }

func (noCompression) Close() error { return nil }

// members packs gzip members of memberSize each, side by side. Any gzip reads
// them as one file. Each member's header says how long it is (extra field
// "IG", as of mgzip), so that they can be unpacked side by side as well. The
// bytes do not depend on the number of cores.
type members struct {
	dst   io.Writer
	level int
	block []byte // being filled

	order   chan chan packed // in the order of the blocks
	done    chan struct{}    // closed when the last one was written
	blocks  sync.Pool        // of *[]byte, memberSize each
	packers sync.Pool        // of *packer
	any     bool
	stop    bool
	err     error // of writing; read after done or through failed
	fail    chan struct{}
}

// packed is a member, or why there is none.
type packed struct {
	*packer
	err error
}

// packer is a compressor with its output: a megabyte of tables that would
// otherwise be made anew for each member.
type packer struct {
	z   *gzip.Writer
	out bytes.Buffer
}

var errClosed = errors.New("compressing: written to after its end")

func newMembers(dst io.Writer, level int) *members {
	workers := runtime.GOMAXPROCS(0)
	m := &members{
		dst: dst, level: level, block: make([]byte, 0, memberSize),
		order: make(chan chan packed, workers), done: make(chan struct{}), fail: make(chan struct{}),
	}
	go m.write()
	return m
}

// write puts the members onto dst in their order.
func (m *members) write() {
	defer close(m.done)
	for result := range m.order {
		p := <-result
		if m.err != nil {
			continue
		}
		if m.err = p.err; m.err == nil {
			_, m.err = m.dst.Write(p.out.Bytes())
			m.packers.Put(p.packer)
		}
		if m.err != nil {
			close(m.fail)
		}
	}
}

func (m *members) Write(p []byte) (int, error) {
	if m.stop {
		return 0, errClosed
	}
	written := 0
	for len(p) > 0 {
		select {
		case <-m.fail:
			return written, m.err
		default:
		}
		n := min(len(p), memberSize-len(m.block))
		m.block = append(m.block, p[:n]...)
		p, written = p[n:], written+n
		if len(m.block) == memberSize {
			m.flush()
		}
	}
	return written, nil
}

// flush hands the block to a goroutine; order bounds how many there are.
func (m *members) flush() {
	m.any = true
	block, result := m.block, make(chan packed, 1)
	m.order <- result
	go func() {
		p, _ := m.packers.Get().(*packer)
		if p == nil {
			p = &packer{}
		}
		result <- packed{p, p.pack(block, m.level)}
		m.blocks.Put(&block)
	}()
	if next, _ := m.blocks.Get().(*[]byte); next != nil {
		m.block = (*next)[:0]
	} else {
		m.block = make([]byte, 0, memberSize)
	}
}

// Close writes the last member and waits for all of them.
func (m *members) Close() error {
	if m.stop {
		return m.err
	}
	m.stop = true
	if len(m.block) > 0 || !m.any {
		m.flush()
	}
	close(m.order)
	<-m.done
	return m.err
}

// The extra field of RFC 1952 section 2.3.1.1 that says how long a member is.
const (
	extraAt   = 12 // after ID1 ID2 CM FLG MTIME XFL OS and XLEN
	extraSize = 8  // "IG", its length of 4, the size
)

// pack makes one gzip member.
func (p *packer) pack(block []byte, level int) (err error) {
	p.out.Reset()
	if p.z == nil {
		if p.z, err = gzip.NewWriterLevel(&p.out, level); err != nil {
			return err
		}
	} else {
		p.z.Reset(&p.out) // header and all
	}
	p.z.Extra = []byte("IG\x04\x00\x00\x00\x00\x00")
	p.z.OS = 255 // unknown, as RFC 1952 has it: the same on every host
	if _, err := p.z.Write(block); err != nil {
		return err
	}
	if err := p.z.Close(); err != nil {
		return err
	}
	member := p.out.Bytes()
	binary.LittleEndian.PutUint32(member[extraAt+4:], uint32(len(member)))
	return nil
}
