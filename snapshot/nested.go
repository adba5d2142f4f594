package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// MaxNested bounds the databases that ReadNested takes in, in bytes.
const MaxNested = 1 << 30

// nestedTries is how often a copy is begun anew because its owner wrote to the
// file meanwhile.
const nestedTries = 10

// ErrBusy says that a database was written to all the while it was being copied.
var ErrBusy = errors.New("database changed while it was copied")

// ReadNested hands every value of any bbolt database to visit, with the names of
// the buckets that it stands in, outermost first; both are valid during the call
// alone. Buckets may stand in buckets: it is not etcd's database that is read
// with it, but those of others.
//
// A copy in memory is read, so that the owner of the file may be at work: it
// holds bbolt's lock as long as it runs. The copy is one state of the database,
// since bbolt writes no page of a committed state before another one has been
// committed, and that is looked for. Errors are ErrNotDatabase, ErrDamaged,
// ErrBusy and those of visit.
func ReadNested(ctx context.Context, f *os.File, visit func(buckets []string, key, value []byte) error) error {
	data, m, err := copyNested(ctx, f)
	if err != nil {
		return fmt.Errorf("reading database %q: %w", f.Name(), err)
	}
	s := newStructure(ctx, data, m)
	return s.nested(m.root, nil, visit)
}

// statReader is a file that is open.
type statReader interface {
	io.ReaderAt
	Stat() (os.FileInfo, error)
}

func copyNested(ctx context.Context, f statReader) ([]byte, meta, error) {
	for range nestedTries {
		if err := context.Cause(ctx); err != nil {
			return nil, meta{}, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, meta{}, err
		}
		if !info.Mode().IsRegular() || info.Size() > MaxNested {
			return nil, meta{}, fmt.Errorf("no regular file of at most %d bytes: %w", MaxNested, ErrNotDatabase)
		}
		before, err := readMeta(f, info.Size())
		if err != nil {
			return nil, meta{}, err
		}
		if err := checkSize(before, info.Size()); err != nil {
			return nil, meta{}, err
		}
		data := make([]byte, int64(before.pages)*before.pageSize)
		if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), data); err != nil {
			return nil, meta{}, err
		}
		if after, err := readMeta(f, info.Size()); err == nil && after.txid == before.txid {
			return data, before, nil
		}
	}
	return nil, meta{}, ErrBusy
}

// nested walks a bucket, and those within it. Each page is entered once, so that
// it comes to an end.
func (s *structure) nested(root uint64, buckets []string, visit func(buckets []string, key, value []byte) error) error {
	return s.walk(root, nil, nil, s.nestedElement(buckets, visit), 0)
}

func (s *structure) nestedElement(buckets []string, visit func(buckets []string, key, value []byte) error) element {
	return func(p page, flags uint32, key, value []byte) error {
		if flags == 0 {
			return visit(buckets, key, value)
		}
		if flags != bucketFlag || len(value) < bucketHeaderSize || len(buckets) >= maxDepth {
			return s.damage(p.id, "element %q is neither a value nor a bucket", clip(key))
		}
		within := slices.Concat(buckets, []string{string(key)})
		if root := binary.NativeEndian.Uint64(value); root != 0 {
			return s.nested(root, within, visit)
		}
		q, err := s.inline(p, key, value)
		if err != nil {
			return err
		}
		return s.leaf(q, nil, nil, s.nestedElement(within, visit))
	}
}
