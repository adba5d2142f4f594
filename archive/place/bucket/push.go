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
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// PushOptions say how a file is sent.
type PushOptions struct {
	LockUntil time.Time                 // nobody can remove it before; zero for no lock
	Count     func(io.Reader) io.Reader // may count what is read; nil for nobody
}

// Push sends a file of size bytes whose sha256 is known. Killed half-way, the
// next Push of the same file goes on after the parts that are there. The object
// has its name when all of it is in the store, and keeps the digest, which Digest
// gives back. It reports false when the same content is there already.
//
// fs.ErrExist: another content has the name.
func (b *Bucket) Push(ctx context.Context, name string, file io.ReaderAt, size int64, digest string, opts PushOptions) (sent bool, err error) {
	if err := place.CheckName(name); err != nil {
		return false, err
	}
	if have, err := b.Digest(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		if err == nil && have != digest {
			err = fmt.Errorf("%q %w in %q with another content", name, fs.ErrExist, b.Root())
		}
		return false, err
	}
	u := &upload{b: b, name: name, partSize: max(b.part, (size/maxParts>>20+1)<<20), done: map[int]minio.ObjectPart{}}
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
	content := io.Reader(io.NewSectionReader(file, 0, size))
	if opts.Count != nil {
		content = opts.Count(content)
	}
	sum := sha256.New()
	if err := u.stream(ctx, io.TeeReader(content, sum)); err != nil {
		return false, fmt.Errorf("pushing %q: %w", name, err)
	}
	if size > u.partSize {
		_ = b.core.RemoveObject(ctx, b.name, b.prefix+note, minio.RemoveObjectOptions{}) // it says nothing any more
	}
	return true, b.check(ctx, name, hex.EncodeToString(sum.Sum(nil)), digest, opts.LockUntil)
}

// check holds what is in the store now against what was meant.
func (b *Bucket) check(ctx context.Context, name, read, digest string, until time.Time) error {
	have, err := b.Digest(ctx, name)
	switch {
	case err != nil:
		return err
	case read != digest || have != digest:
		return fmt.Errorf("pushing %q: the file changed meanwhile: what is in the store is not what it was", name)
	case until.IsZero():
		return nil
	}
	lock, err := b.Locked(ctx, place.Entry{Name: name})
	if err == nil && lock == "" {
		err = fmt.Errorf("pushing %q: it is in the store, which did not lock it: is object lock enabled on the bucket?", name)
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
