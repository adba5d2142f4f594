package datadir_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// firstSegment is the file in which a log begins.
func firstSegment(t testing.TB, dir string) string {
	t.Helper()
	return filepath.Join(open(t, dir).WAL(), "0000000000000000-0000000000000000.wal")
}

// recordEnd is where the record of an entry ends in the first segment, and the
// running checksum there.
func recordEnd(t testing.TB, dir string, index uint64) (offset int64, crc uint32) {
	t.Helper()
	file, err := os.Open(firstSegment(t, dir))
	require.NoError(t, err)
	defer file.Close()
	decoder := wal.NewDecoder(fileutil.NewFileReader(file))
	for {
		var rec walpb.Record
		require.NoError(t, decoder.Decode(&rec))
		switch rec.GetType() {
		case wal.CrcType:
			decoder.UpdateCRC(rec.GetCrc())
		case wal.EntryType:
			var e raftpb.Entry
			require.NoError(t, proto.Unmarshal(rec.Data, &e))
			if e.GetIndex() == index {
				return decoder.LastOffset(), decoder.LastCRC()
			}
		}
	}
}

// split has a log begin a new segment behind an entry.
func split(t testing.TB, dir string, index uint64) {
	t.Helper()
	offset, crc := recordEnd(t, dir, index)
	path := firstSegment(t, dir)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	head, err := proto.Marshal(&walpb.Record{Type: proto.Int64(wal.CrcType), Crc: proto.Uint32(crc)})
	require.NoError(t, err)
	frame := uint64(len(head))
	if padding := (8 - len(head)%8) % 8; padding > 0 {
		frame |= uint64(0x80|padding) << 56
		head = append(head, make([]byte, padding)...)
	}
	second := append(binary.LittleEndian.AppendUint64(nil, frame), head...)
	second = append(second, data[offset:]...)
	name := filepath.Join(open(t, dir).WAL(), "0000000000000001-"+hex16(index+1)+".wal")
	require.NoError(t, os.WriteFile(name, second, 0o600))
	require.NoError(t, os.Truncate(path, offset))
}

func hex16(n uint64) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 16)
	for i := range text {
		text[15-i] = digits[n>>(4*i)&15]
	}
	return string(text)
}

// Whatever was damaged in a segment, the next one is read: what the database
// has already is needed from none of them.
func TestNextSegmentIsRead(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string][]byte{
		"a zeroed page": make([]byte, 4096),
		"flipped bits":  {0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := harbour(t)["etcd-1"]
			split(t, dir, 1500)
			require.Equal(t, harbourWhole, replay(t, dir, datadir.ReplayOptions{}).Hash, "the split itself is no damage")
			end, _ := recordEnd(t, dir, 1400)
			overwrite(t, firstSegment(t, dir), int(end), damage)
			l := survey(t, dir).Log
			require.Len(t, l.Stretches, 2)
			require.EqualValues(t, 1400, l.Stretches[0].Last)
			require.EqualValues(t, 1501, l.Stretches[1].First)
			require.True(t, l.EndKnown(), "its end is known")
			r := replay(t, dir, datadir.ReplayOptions{})
			require.Equal(t, harbourWhole, r.Hash)
			require.Empty(t, r.Damage)
		})
	}
}

// A segment that is whole by itself and was written behind another one is not
// the continuation, though its indexes and terms are.
func TestSegmentOfAnotherLog(t *testing.T) {
	t.Parallel()
	dir, other := harbour(t)["etcd-1"], harbour(t)["etcd-1"]
	extend(t, dir, 1613, 2, 1612, put(t, "/ours"), put(t, "/next-1"), put(t, "/next-2"))
	extend(t, other, 1613, 2, 1612, put(t, "/them"), put(t, "/next-1"), put(t, "/next-2"))
	for _, d := range []string{dir, other} {
		split(t, d, 1613)
	}
	require.EqualValues(t, 1615, replay(t, dir, datadir.ReplayOptions{}).Last, "the split itself is no damage")
	const second = "0000000000000001-000000000000064e.wal"
	foreign, err := os.ReadFile(filepath.Join(open(t, other).WAL(), second))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(open(t, dir).WAL(), second), foreign, 0o600))

	s := survey(t, dir)
	require.Len(t, s.Log.Stretches, 2)
	require.Contains(t, s.Log.Stretches[0].End, "does not continue the one before")
	_, err = s.Replay(t.Context(), datadir.ReplayOptions{})
	damage := (*datadir.DamagedError)(nil)
	require.ErrorAs(t, err, &damage)
	require.EqualValues(t, 1613, damage.Index)
}

// A kill leaves a record that was not finished and nothing behind it. What
// else follows the readable end may hide entries that were acknowledged.
func TestLeftover(t *testing.T) {
	t.Parallel()
	whole := harbour(t)["etcd-1"]
	last, _ := recordEnd(t, whole, 1612)
	before, _ := recordEnd(t, whole, 1611)
	mid, _ := recordEnd(t, whole, 1590)
	for name, tc := range map[string]struct {
		offset int64
		with   []byte
		torn   bool
		known  bool
		last   uint64
		behind uint64
	}{
		"a record that was cut off":      {offset: (before + 600) / 512 * 512, with: make([]byte, 4096), torn: true, known: true, last: 1611},
		"a hole where a record begins":   {offset: mid, with: make([]byte, 16), last: 1590, behind: 1612, known: true},
		"a length beyond the file":       {offset: mid + 5, with: []byte{0xff}, last: 1590, behind: 1612, known: true},
		"a length over all that follows": {offset: mid + 2, with: []byte{0x08}, last: 1590, behind: 1612, known: true},
		"bytes far behind the end":       {offset: last + 100_000, with: []byte{1}, last: 1612},
		"nothing":                        {offset: last + 100_000, with: []byte{0}, known: true, last: 1612},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := harbour(t)["etcd-1"]
			overwrite(t, firstSegment(t, dir), int(tc.offset), tc.with)
			l := survey(t, dir).Log
			index, _ := l.Last()
			require.Equal(t, tc.last, index)
			require.Equal(t, tc.behind, l.Behind)
			require.Equal(t, tc.torn, l.Torn)
			require.Equal(t, tc.known, l.EndKnown())
		})
	}
}

// A file that was made to be read again and again is not.
func TestHostileLeftover(t *testing.T) {
	t.Parallel()
	dir := harbour(t)["etcd-1"]
	file, err := os.OpenFile(firstSegment(t, dir), os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	// Each of many records ends where one large record begins.
	const from, large, size = 8 << 20, 16 << 20, 40 << 20
	frame := func(at, length int64, head []byte) {
		data := append(binary.LittleEndian.AppendUint64(nil, uint64(length)), head...)
		_, err := file.WriteAt(data, at)
		require.NoError(t, err)
	}
	head := func(length int64) []byte { // type 2, crc 1, data that fill the record
		data := []byte{8, 2, 16, 1, 26}
		for n := 1; ; n++ {
			rest := length - int64(len(data)) - int64(n)
			text := binary.AppendUvarint(nil, uint64(rest))
			if len(text) == n {
				return append(data, text...)
			}
		}
	}
	for at := int64(from); at < from+1<<20; at += 24 {
		frame(at, large-at-8, head(large-at-8))
	}
	frame(large, size, head(size))
	l, err := open(t, dir).Log(t.Context())
	require.NoError(t, err)
	require.Zero(t, l.Behind)
}

// A segment between others is gone: what stands before it can be had, and what
// it held is named.
func TestMissingSegment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	crash(t, dir, 100)
	require.EqualValues(t, 101, replay(t, dir, datadir.ReplayOptions{}).Revision)
	log := open(t, dir).WAL()
	segment := func(seq, first uint64) string { return filepath.Join(log, hex16(seq)+"-"+hex16(first)+".wal") }
	last := replay(t, dir, datadir.ReplayOptions{}).Last
	split(t, dir, last-30)
	require.NoError(t, os.Rename(segment(1, last-29), segment(2, last-29)))
	split(t, dir, last-60)
	require.EqualValues(t, 101, replay(t, dir, datadir.ReplayOptions{}).Revision, "three segments, all there")

	require.NoError(t, os.Remove(segment(1, last-59)))
	watch := watchTree(t, dir)
	_, err := survey(t, dir).Replay(t.Context(), datadir.ReplayOptions{})
	damage := (*datadir.DamagedError)(nil)
	require.ErrorAs(t, err, &damage)
	require.ErrorContains(t, err, "segment 1 of the log is missing")
	r := replay(t, dir, datadir.ReplayOptions{AcceptLoss: true})
	require.Equal(t, last-60, r.Last)
	require.EqualValues(t, 41, r.Revision)
	require.Contains(t, r.Damage, "segment 1 of the log is missing")
	watch.unchanged(t)
}
