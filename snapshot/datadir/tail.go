package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Tail is what the log holds beyond the database.
type Tail struct {
	Entries   uint64 // entries beyond the database's consistent index
	LastIndex uint64 // of the newest entry, 0 for a log without entries
	LastTerm  uint64
	Commit    uint64 // newest commit index on record; acknowledged writes may stand beyond it

	// Damage says where the log stops being readable other than by its normal
	// end, "" where it does not.
	Damage string
}

// Tail reads the log and counts its entries beyond index, the database's
// consistent index. The log is streamed and nothing is changed. A torn last
// record is how the log of a killed member ends, and no damage.
func (d *Dir) Tail(ctx context.Context, index uint64) (Tail, error) {
	names, err := filepath.Glob(filepath.Join(d.WAL(), "*.wal"))
	if err != nil {
		return Tail{}, err
	}
	slices.Sort(names) // SEQ-INDEX in fixed-width hexadecimal: the log's order
	var readers []fileutil.FileReader
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return Tail{}, fmt.Errorf("reading the log: %w", err)
		}
		defer file.Close()
		readers = append(readers, fileutil.NewFileReader(file))
	}
	if len(readers) == 0 {
		return Tail{}, nil
	}
	return countTail(ctx, wal.NewDecoder(readers...), index)
}

// countTail walks the records. etcd's decoder is made for its own files and
// panics on some others, which is damage here.
func countTail(ctx context.Context, decoder wal.Decoder, index uint64) (tail Tail, err error) {
	defer func() {
		if p := recover(); p != nil {
			tail.Damage, err = fmt.Sprintf("after entry %d: %v", tail.LastIndex, p), nil
		}
		tail.Entries = 0
		if tail.LastIndex > index {
			tail.Entries = tail.LastIndex - index
		}
	}()
	var rec walpb.Record
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return tail, ctx.Err()
		}
		switch err := decoder.Decode(&rec); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return tail, nil
		case err != nil:
			tail.Damage = fmt.Sprintf("after entry %d: %v", tail.LastIndex, err)
			return tail, nil
		}
		if err := tail.take(decoder, &rec); err != nil {
			tail.Damage = fmt.Sprintf("after entry %d: %v", tail.LastIndex, err)
			return tail, nil
		}
	}
}

// take adds one record. An entry with an index that was there before replaces
// it and all that followed, as raft's log does.
func (t *Tail) take(decoder wal.Decoder, rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.EntryType:
		var e raftpb.Entry
		if err := proto.Unmarshal(rec.Data, &e); err != nil {
			return fmt.Errorf("decoding an entry: %w", err)
		}
		t.LastIndex, t.LastTerm = e.GetIndex(), e.GetTerm()
	case wal.StateType:
		var s raftpb.HardState
		if err := proto.Unmarshal(rec.Data, &s); err != nil {
			return fmt.Errorf("decoding a hard state: %w", err)
		}
		t.Commit = s.GetCommit()
	case wal.CrcType:
		// A segment begins with the running checksum of the one before.
		if crc := decoder.LastCRC(); crc != 0 && rec.Validate(crc) != nil {
			return wal.ErrCRCMismatch
		}
		decoder.UpdateCRC(rec.GetCrc())
	}
	return nil
}
