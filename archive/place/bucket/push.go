package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// PushOptions say how a file is sent.
type PushOptions struct {
	LockUntil time.Time   // nobody can remove it before; zero for no lock
	Count     func(int64) // is told of bytes that are on their way, less when some go again; nil for nobody
}

// Sums are what a file is checked by on its way, and in the store.
type Sums struct {
	Digest string // sha256 of all of it, in hex

	size, partSize int64
	parts          [][sha256.Size]byte
}

// Sum reads a file of size bytes to its end, before Push sends it.
func (b *Bucket) Sum(r io.Reader, size int64) (*Sums, error) {
	s := &Sums{partSize: max(b.part, (size/maxParts>>20+1)<<20)}
	whole, part, block, inPart := sha256.New(), sha256.New(), make([]byte, 1<<20), int64(0)
	for ended := false; !ended; {
		n, err := io.ReadFull(r, block)
		if ended = err == io.EOF || err == io.ErrUnexpectedEOF; err != nil && !ended {
			return nil, err
		}
		var wait sync.WaitGroup
		wait.Go(func() { whole.Write(block[:n]) }) // beside the other: it is what a push waits for
		part.Write(block[:n])
		wait.Wait()
		s.size, inPart = s.size+int64(n), inPart+int64(n)
		if inPart == s.partSize || ended && (inPart > 0 || len(s.parts) == 0) {
			s.parts, inPart = append(s.parts, [sha256.Size]byte(part.Sum(nil))), 0
			part.Reset()
		}
	}
	s.Digest = hex.EncodeToString(whole.Sum(nil))
	return s, nil
}

// Push sends a file whose sums are known. The store is told each part's, and
// refuses what is not what was summed up. Killed half-way, the
// next Push of the same file goes on after the parts that are there. The object
// has its name when all of it is in the store, and keeps the digest, which Digest
// gives back. It reports false when the same content is there already.
//
// fs.ErrExist: another content has the name.
func (b *Bucket) Push(ctx context.Context, name string, file io.ReaderAt, sums *Sums, opts PushOptions) (sent bool, err error) {
	if err := place.CheckName(name); err != nil {
		return false, err
	}
	size, digest := sums.size, sums.Digest
	if have, err := b.Digest(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		if err == nil && have != digest {
			err = fmt.Errorf("%q %w in %q with another content", name, fs.ErrExist, b.Root())
		}
		return false, err
	}
	u := &upload{b: b, name: name, partSize: sums.partSize, sums: sums, done: map[int]minio.ObjectPart{}}
	u.opts.UserMetadata = map[string]string{digestKey: digest}
	if !opts.LockUntil.IsZero() {
		u.opts.Mode, u.opts.RetainUntilDate = minio.Compliance, opts.LockUntil.UTC()
	}
	note := noteName(name, digest)
	if size > u.partSize {
		if err := u.resume(ctx, note); err != nil {
			return false, err
		}
	}
	if err := u.send(ctx, ofFile(file, size, u.partSize, opts.Count)); err != nil {
		return false, fmt.Errorf("pushing %q: %w", name, err)
	}
	if size > u.partSize {
		_ = b.core.RemoveObject(ctx, b.name, b.prefix+note, minio.RemoveObjectOptions{}) // it says nothing any more
	}
	return true, u.check(ctx, digest)
}

// check holds what is in the store now against what was meant.
func (u *upload) check(ctx context.Context, digest string) error {
	switch {
	case u.is.UserMetadata[digestKey] != digest:
		return fmt.Errorf("pushing %q: the store has not kept its sha256, or another run pushed another content", u.name)
	case u.opts.RetainUntilDate.IsZero():
		return nil
	}
	lock, err := u.b.Locked(ctx, place.Entry{Name: u.name})
	if err == nil && lock == "" {
		err = fmt.Errorf("pushing %q: it is in the store, which did not lock it: is object lock enabled on the bucket?", u.name)
	}
	return err
}

// Digest is the sha256 that Push has kept with an object, "" for none.
func (b *Bucket) Digest(ctx context.Context, name string) (string, error) {
	info, err := b.core.StatObject(ctx, b.name, b.prefix+name, minio.StatObjectOptions{})
	if err != nil {
		return "", explain(err)
	}
	return info.UserMetadata[digestKey], nil
}

// noteName is the object that remembers a multipart upload: a store tells its
// key and not for which content it was begun.
func noteName(name, digest string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + digest))
	return ".lifeboat/uploads/" + hex.EncodeToString(sum[:16]) + ".json"
}

// resume finds the upload that a killed run has left, or begins one.
func (u *upload) resume(ctx context.Context, note string) error {
	var left struct {
		UploadID string `json:"uploadId"`
	}
	text, err := u.b.Read(ctx, note, 1<<16)
	if err == nil {
		err = json.Unmarshal(text, &left)
	}
	if err == nil && u.recall(ctx, left.UploadID) {
		return nil
	}
	if u.id, err = u.b.core.NewMultipartUpload(ctx, u.b.name, u.key(), u.opts); err != nil {
		return explain(err)
	}
	left.UploadID = u.id
	if text, err = json.Marshal(left); err != nil {
		return err
	}
	return u.b.Replace(ctx, note, text)
}

// recall lists the parts that are there; false when the store has forgotten the
// upload.
func (u *upload) recall(ctx context.Context, id string) bool {
	for after := 0; ; {
		list, err := u.b.core.ListObjectParts(ctx, u.b.name, u.key(), id, after, 1000)
		if err != nil {
			clear(u.done)
			return false
		}
		for _, part := range list.ObjectParts {
			u.done[part.PartNumber] = part
		}
		if !list.IsTruncated || list.NextPartNumberMarker <= after {
			u.id = id
			return true
		}
		after = list.NextPartNumberMarker
	}
}
