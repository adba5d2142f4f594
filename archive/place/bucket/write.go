package bucket

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what stores call an ETag
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// Sizes of parts: stores take 10,000 of at least 5 MiB.
const (
	partSize = 16 << 20
	maxParts = 10_000
	parallel = 4 // parts on their way at once, each in memory
)

// digestKey is the metadata under which Push keeps a file's sha256.
const digestKey = "Lifeboat-Sha256"

// Put writes an object whole or not at all; fs.ErrExist where there is one. What
// content gives is bounded by the store alone.
func (b *Bucket) Put(ctx context.Context, name string, content io.Reader) error {
	if err := place.CheckName(name); err != nil {
		return err
	}
	u := &upload{b: b, name: name, partSize: b.part}
	if err := u.stream(ctx, content); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	return nil
}

// Replace writes a small object.
func (b *Bucket) Replace(ctx context.Context, name string, content []byte) error {
	if err := place.CheckOwn(name); err != nil {
		return err
	}
	s := sumsOf(content)
	_, err := b.core.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(content), int64(len(content)), s.md5Base64(), s.sha256Hex(), signed(minio.PutObjectOptions{}))
	return explain(err)
}

// upload is an object under way. It has no name in the store before its end.
type upload struct {
	b        *Bucket
	name     string
	partSize int64
	opts     minio.PutObjectOptions

	id   string                   // of the multipart upload
	done map[int]minio.ObjectPart // parts that are there from before
}

func (u *upload) key() string { return u.b.prefix + u.name }

// once are the options of the request that gives the object its name.
func (u *upload) once() minio.PutObjectOptions {
	opts := u.opts
	opts.SetMatchETagExcept("*")
	return signed(opts)
}

// signed has the sha256 of a request signed with it, so that the store checks it:
// not the sums of its pieces, which the client sends else without TLS.
func signed(opts minio.PutObjectOptions) minio.PutObjectOptions {
	opts.DisableContentSha256 = true
	return opts
}

// stream reads content once. What fits a part is one request.
func (u *upload) stream(ctx context.Context, content io.Reader) error {
	first := make([]byte, u.partSize)
	n, err := io.ReadFull(content, first)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return u.small(ctx, first[:n])
	case err != nil:
		return err
	}
	return u.large(ctx, io.MultiReader(bytes.NewReader(first), content))
}

func (u *upload) small(ctx context.Context, content []byte) error {
	sums := sumsOf(content)
	_, err := u.b.core.PutObject(ctx, u.b.name, u.key(), bytes.NewReader(content), int64(len(content)), sums.md5Base64(), sums.sha256Hex(), u.once())
	return u.settle(ctx, err, hex.EncodeToString(sums.md5[:]), int64(len(content)))
}

// large sends parts side by side and names the object when all are there.
func (u *upload) large(ctx context.Context, content io.Reader) error {
	var err error
	if u.id == "" {
		if u.id, err = u.b.core.NewMultipartUpload(ctx, u.b.name, u.key(), u.opts); err != nil {
			return explain(err)
		}
	}
	parts, etag, size, err := u.parts(ctx, content)
	if err != nil {
		u.giveUp(ctx)
		return err
	}
	naming := minio.PutObjectOptions{}
	naming.SetMatchETagExcept("*")
	_, err = u.b.core.CompleteMultipartUpload(ctx, u.b.name, u.key(), u.id, parts, naming)
	return u.settle(ctx, err, etag, size)
}

// giveUp lets the store forget the parts of what nobody will go on with.
func (u *upload) giveUp(ctx context.Context) {
	if u.done != nil {
		return // of a file: the next run goes on
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = u.b.core.AbortMultipartUpload(ctx, u.b.name, u.key(), u.id) // the store's lifecycle rules do it else
}

// sent is a part that is in the store, or why it is not.
type sent struct {
	part minio.CompletePart
	sums sums
	size int64
	err  error
}

// parts sends all parts, in their order so many at once, and gives what the
// object's ETag and size will be.
func (u *upload) parts(ctx context.Context, content io.Reader) (parts []minio.CompletePart, etag string, size int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var waiting []chan sent
	all := md5.New() //nolint:gosec // as above
	collect := func() error {
		got := <-waiting[0]
		waiting = waiting[1:]
		if got.err != nil {
			return got.err
		}
		all.Write(got.sums.md5[:])
		parts, size = append(parts, got.part), size+got.size
		return nil
	}
	for number, ended := 1, false; !ended; number++ {
		buffer := make([]byte, u.partSize)
		n, readErr := io.ReadFull(content, buffer)
		ended = readErr == io.EOF || readErr == io.ErrUnexpectedEOF
		switch {
		case readErr != nil && !ended:
			return nil, "", 0, readErr
		case n == 0 && number > 1:
		case number > maxParts:
			return nil, "", 0, fmt.Errorf("it is longer than %d parts of %d bytes", maxParts, u.partSize)
		default:
			result := make(chan sent, 1)
			waiting = append(waiting, result)
			go func() { result <- u.part(ctx, number, buffer[:n]) }()
		}
		for len(waiting) >= parallel || ended && len(waiting) > 0 {
			if err := collect(); err != nil {
				return nil, "", 0, err
			}
		}
	}
	return parts, fmt.Sprintf("%x-%d", all.Sum(nil), len(parts)), size, nil
}

// part sends one part, unless the store has it from before.
func (u *upload) part(ctx context.Context, number int, content []byte) sent {
	s := sumsOf(content)
	etag := hex.EncodeToString(s.md5[:])
	if have, ok := u.done[number]; ok && have.Size == int64(len(content)) && trim(have.ETag) == etag {
		return sent{minio.CompletePart{PartNumber: number, ETag: have.ETag}, s, have.Size, nil}
	}
	got, err := u.b.core.PutObjectPart(ctx, u.b.name, u.key(), u.id, number, bytes.NewReader(content), int64(len(content)),
		minio.PutObjectPartOptions{Md5Base64: s.md5Base64(), Sha256Hex: s.sha256Hex(), DisableContentSha256: true})
	if err != nil {
		return sent{err: explain(err)}
	}
	return sent{minio.CompletePart{PartNumber: number, ETag: got.ETag}, s, int64(len(content)), nil}
}

// settle judges the request that gave the object its name. An answer that was
// lost leaves an object which is ours; so does a request that was sent twice. A
// store that names less than it was sent is found here.
func (u *upload) settle(ctx context.Context, err error, etag string, size int64) error {
	err = explain(err)
	if errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return err
	}
	info, statErr := u.b.core.StatObject(ctx, u.b.name, u.key(), minio.StatObjectOptions{})
	switch {
	case statErr != nil && err != nil:
		return err
	case statErr != nil:
		return fmt.Errorf("the store took it and does not have it: %w", explain(statErr))
	case err != nil && (trim(info.ETag) != etag || info.Size != size):
		return err
	case info.Size != size:
		return fmt.Errorf("the store has %d bytes of the %d that it was sent: remove it and try again", info.Size, size)
	}
	return nil
}

func trim(etag string) string { return string(bytes.Trim([]byte(etag), `"`)) }

// sums are what a store checks a request by.
type sums struct {
	md5    [md5.Size]byte
	sha256 [sha256.Size]byte
}

func sumsOf(content []byte) sums {
	return sums{md5.Sum(content), sha256.Sum256(content)} //nolint:gosec // as above
}

func (s sums) md5Base64() string { return base64.StdEncoding.EncodeToString(s.md5[:]) }
func (s sums) sha256Hex() string { return hex.EncodeToString(s.sha256[:]) }

// KeepsFirst probes whether the store refuses to overwrite: some ignore the
// condition. It leaves nothing behind where it may remove what it wrote.
func (b *Bucket) KeepsFirst(ctx context.Context, nonce string) (bool, error) {
	key := b.prefix + ".lifeboat/probe-" + nonce
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*")
	put := func(content string) error {
		s := sumsOf([]byte(content))
		_, err := b.core.PutObject(ctx, b.name, key, bytes.NewReader([]byte(content)), int64(len(content)), s.md5Base64(), s.sha256Hex(), signed(opts))
		return err
	}
	if err := explain(put("first")); err != nil {
		return false, fmt.Errorf("probing the store: %w", err)
	}
	second := put("second")
	_ = b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{}) // who may not remove keeps five bytes
	response := minio.ErrorResponse{}
	if errors.As(second, &response) && response.StatusCode == http.StatusPreconditionFailed {
		return true, nil
	}
	return false, nil
}
