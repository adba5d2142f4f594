package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// TrailerSize is the length of the sha256 sum that `etcdctl snapshot save`
// appends to a database.
const TrailerSize = sha256.Size

// HasTrailer reports whether a file of this many bytes ends in a trailer.
// Databases are whole pages, so the rest tells (etcd etcdutl/snapshot
// hasChecksum).
func HasTrailer(size int64) bool { return size%512 == TrailerSize }

// Length is that of the database or snapshot in a file of size bytes: all of it,
// but for the zero bytes that a tape or a block device leaves behind a snapshot.
// Only a snapshot shows where it ends: a sum stands behind the last page that
// its meta page counts. What begins with that page's number is a page, of a
// transaction that was never committed.
//
// A file that is no database has all its bytes.
func Length(file io.ReaderAt, size int64) (int64, error) {
	m, err := readMeta(file, size)
	if err != nil || checkSize(m, size) != nil {
		return size, nil //nolint:nilerr // whoever opens it says what is wrong
	}
	sum, pages := make([]byte, TrailerSize), int64(m.pages)*m.pageSize
	end := pages + TrailerSize
	if end >= size {
		return size, nil
	}
	if _, err := file.ReadAt(sum, pages); err != nil {
		return 0, fmt.Errorf("looking for the sha256 trailer: %w", err)
	}
	if isZero(sum) || binary.NativeEndian.Uint64(sum) == m.pages {
		return size, nil
	}
	behind, buffer := io.NewSectionReader(file, end, size-end), make([]byte, 256<<10)
	for {
		n, err := behind.Read(buffer)
		switch {
		case !isZero(buffer[:n]):
			return size, nil
		case err == io.EOF:
			return end, nil
		case err != nil:
			return 0, fmt.Errorf("looking for the sha256 trailer: %w", err)
		}
	}
}

func isZero(p []byte) bool { return len(bytes.Trim(p, "\x00")) == 0 }

// Trailer is what the sha256 trailer says of a snapshot.
type Trailer int

// The verdicts. Without a trailer nothing is proven: a database copied out of
// a data dir has none, nor has a snapshot whose last message got lost.
const (
	TrailerMissing Trailer = iota
	TrailerGood
	TrailerWrong
)

func (t Trailer) String() string {
	switch t {
	case TrailerGood:
		return "good"
	case TrailerWrong:
		return "wrong"
	}
	return "missing"
}

// TrailerHash checks the trailer of a snapshot that flows through it: write
// the whole file, then ask for the Verdict. It keeps 32 bytes back and holds
// nothing else.
type TrailerHash struct {
	hash hash.Hash
	size int64
	tail []byte // the newest bytes, at most TrailerSize, not hashed yet
}

var _ io.Writer = (*TrailerHash)(nil)

// NewTrailerHash returns a TrailerHash that has seen nothing.
func NewTrailerHash() *TrailerHash {
	return &TrailerHash{hash: sha256.New(), tail: make([]byte, 0, TrailerSize)}
}

// Write takes the next bytes of the file. It never fails.
func (t *TrailerHash) Write(p []byte) (int, error) {
	n := len(p)
	t.size += int64(n)
	if n >= TrailerSize {
		t.hash.Write(t.tail)
		t.hash.Write(p[:n-TrailerSize])
		t.tail = append(t.tail[:0], p[n-TrailerSize:]...)
		return n, nil
	}
	if over := len(t.tail) + n - TrailerSize; over > 0 {
		t.hash.Write(t.tail[:over])
		t.tail = t.tail[:copy(t.tail, t.tail[over:])]
	}
	t.tail = append(t.tail, p...)
	return n, nil
}

// Size is the number of bytes written so far.
func (t *TrailerHash) Size() int64 { return t.size }

// Sum is the sha256 of all bytes written so far, a trailer among them.
func (t *TrailerHash) Sum() (sum [sha256.Size]byte) {
	all, err := t.hash.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // crypto/sha256 always can
	}
	all.Write(t.tail)
	all.Sum(sum[:0])
	return sum
}

// Verdict compares the trailer with the sum of all that came before it.
func (t *TrailerHash) Verdict() Trailer {
	switch {
	case !HasTrailer(t.size):
		return TrailerMissing
	case bytes.Equal(t.hash.Sum(nil), t.tail):
		return TrailerGood
	}
	return TrailerWrong
}

// Trailer checks the sha256 trailer of the file that db was opened on. It reads
// the pages where they are mapped: with a database that is open this is faster
// than HashTrailer.
func (db *DB) Trailer(ctx context.Context) (verdict Trailer, err error) {
	if !HasTrailer(db.fileSize) {
		return TrailerMissing, nil
	}
	t := NewTrailerHash()
	err = db.region.guarded(func() error {
		for part := range slices.Chunk(db.region.bytes(), 1<<20) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			_, _ = t.Write(part) // it never fails
		}
		return nil
	})
	if err == nil {
		_, err = io.Copy(t, io.NewSectionReader(db.file, t.Size(), db.fileSize-t.Size()))
	}
	if err != nil {
		return TrailerMissing, fmt.Errorf("checking the sha256 trailer: %w", err)
	}
	return t.Verdict(), nil
}

// HashTrailer reads r to its end.
func HashTrailer(ctx context.Context, r io.Reader) (*TrailerHash, error) {
	t := NewTrailerHash()
	_, err := io.CopyBuffer(t, ctxio.Reader(ctx, r), make([]byte, 256<<10))
	return t, err
}
