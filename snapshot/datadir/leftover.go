package datadir

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// leftover looks at what stands behind the place where the last segment cannot
// be read any more. A kill leaves the beginning of a record and zeros behind
// it. Anything else may be a hole, with synced entries in it.
func (b *logBuilder) leftover(file *os.File, offset int64) error {
	var err error
	if b.log.Leftover, err = nonZero(file, offset); err != nil || b.log.Leftover == 0 {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	s := scan{file: file, size: info.Size(), budget: 4*(info.Size()-offset) + 1<<20}
	if err := s.run(b.ctx, offset); err != nil {
		return err
	}
	b.log.Behind, b.log.BehindTerm = s.index, s.term
	if s.index > 0 { // records that end as a log does
		beyond, err := nonZero(file, s.end)
		b.log.endsBehind = beyond == 0
		return err
	}
	cut, ok := s.frame(offset)
	if !ok || cut.end > s.size {
		return nil // no length, or one that etcd would not have allocated room for
	}
	beyond, err := nonZero(file, cut.end)
	b.log.Torn = beyond == 0
	return err
}

// scan tells records where it is not known where they begin. They begin at
// multiples of 8 bytes, and each has the running checksum of the data of all
// before it: two that follow one another prove each other.
type scan struct {
	file   *os.File
	size   int64
	budget int64 // bytes to read; a hostile file would have them read again and again

	index, term uint64 // of the last entry that was found
	end         int64  // of the last record
}

// frame is where a record stands (etcd server/storage/wal/decoder.go
// decodeFrameSize).
type frame struct{ data, length, end int64 }

func (s *scan) frame(at int64) (frame, bool) {
	var head [8]byte
	if _, err := s.file.ReadAt(head[:], at); err != nil {
		return frame{}, false
	}
	return frameAt(at, binary.LittleEndian.Uint64(head[:]))
}

func frameAt(at int64, head uint64) (frame, bool) {
	length := int64(head &^ (0xff << 56))
	padding := int64(0)
	if int64(head) < 0 {
		padding = int64(head >> 56 & 7)
	}
	return frame{data: at + 8, length: length, end: at + 8 + length + padding}, length > 0
}

// record is a record's head: all but its data.
type record struct {
	frame
	kind    int64
	crc     uint32
	content int64 // where its data begin
}

// record reads what may be a record: its fields are in the order in which etcd
// writes them, and fill it.
func (s *scan) record(at int64) (r record, ok bool) {
	if r.frame, ok = s.frame(at); !ok || r.end > s.size {
		return r, false
	}
	head := make([]byte, min(r.length, 32))
	s.budget -= 40
	if _, err := s.file.ReadAt(head, r.data); err != nil {
		return r, false
	}
	var values [2]uint64 // type, crc
	rest := head
	for i := range values {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 || number != protowire.Number(i+1) || kind != protowire.VarintType {
			return r, false
		}
		value, m := protowire.ConsumeVarint(rest[n:])
		if m < 0 {
			return r, false
		}
		values[i], rest = value, rest[n+m:]
	}
	r.kind, r.crc = int64(values[0]), uint32(values[1])
	size := uint64(0)
	if number, kind, n := protowire.ConsumeTag(rest); n > 0 && number == 3 && kind == protowire.BytesType {
		value, m := protowire.ConsumeVarint(rest[n:])
		if m < 0 {
			return r, false
		}
		size, rest = value, rest[n+m:]
	}
	r.content = r.data + int64(len(head)-len(rest))
	return r, values[0] >= 1 && values[0] <= 5 && r.content-r.data+int64(size) == r.length
}

// read is a record's data; nil where the budget has run out.
func (s *scan) read(r record) []byte {
	n := r.data + r.length - r.content
	if s.budget -= n; s.budget < 0 {
		return nil
	}
	data := make([]byte, n)
	if _, err := s.file.ReadAt(data, r.content); err != nil {
		return nil
	}
	return data
}

func (s *scan) run(ctx context.Context, offset int64) error {
	buf := make([]byte, 64<<10)
	for base := (offset + 7) / 8 * 8; base < s.size && s.budget > 0; base += int64(len(buf)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := s.file.ReadAt(buf, base)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := 0; i+8 <= n && s.budget > 0; i += 8 {
			if head := binary.LittleEndian.Uint64(buf[i:]); head != 0 {
				s.pair(base + int64(i))
			}
		}
	}
	return nil
}

// pair takes two records that prove each other.
func (s *scan) pair(at int64) {
	first, ok := s.record(at)
	if !ok {
		return
	}
	second, ok := s.record(first.end)
	if !ok {
		return
	}
	data := s.read(second)
	if data == nil || crc32.Update(first.crc, crc32.MakeTable(crc32.Castagnoli), data) != second.crc {
		return
	}
	s.end = second.end
	if first.kind == wal.EntryType {
		s.entry(s.read(first))
	}
	if second.kind == wal.EntryType {
		s.entry(data)
	}
}

func (s *scan) entry(data []byte) {
	var e raftpb.Entry
	if err := proto.Unmarshal(data, &e); err == nil && e.GetIndex() > 0 {
		s.index, s.term = e.GetIndex(), e.GetTerm()
	}
}
