package bucket

import (
	"bytes"
	"cmp"
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
	"strings"
	"sync/atomic"
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
	if err := u.send(ctx, ofStream(content, b.part)); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	return nil
}

// Replace writes a small object.
func (b *Bucket) Replace(ctx context.Context, name string, content []byte) error {
	if err := place.CheckOwn(name); err != nil {
		return err
	}
	md5Base64, sha256Hex := sumsOf(content)
	_, err := b.core.PutObject(ctx, b.name, b.prefix+name, bytes.NewReader(content), int64(len(content)), md5Base64, sha256Hex, signed(minio.PutObjectOptions{}))
	return explain(err)
}

// upload is an object under way. It has no name in the store before its end.
type upload struct {
	b        *Bucket
	name     string
	partSize int64
	opts     minio.PutObjectOptions
	sums     *Sums       // of what is sent, nil when it is not known before
	md5      atomic.Bool // the store wants the MD5 of each part

	is   minio.ObjectInfo         // what the store says of the object, at the end
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

// send reads the pieces once. What is shorter than a part is one request.
func (u *upload) send(ctx context.Context, pieces pieces) error {
	first, err := pieces(1)
	switch {
	case err != nil:
		return err
	case first.size < u.partSize:
		return u.small(ctx, first)
	}
	return u.large(ctx, func(number int) (*piece, error) {
		if number == 1 {
			return first, nil
		}
		return pieces(number)
	})
}

func (u *upload) small(ctx context.Context, content *piece) error {
	sum, err := content.md5()
	if err != nil {
		return err
	}
	digest, err := u.sha256Hex(1, content)
	if err != nil {
		return err
	}
	_, err = u.b.core.PutObject(ctx, u.b.name, u.key(), content, content.size, base64.StdEncoding.EncodeToString(sum), digest, u.once())
	return u.settle(ctx, cmp.Or(content.failed(), err), hex.EncodeToString(sum), content.size)
}

// large sends parts side by side and names the object when all are there.
func (u *upload) large(ctx context.Context, pieces pieces) error {
	var err error
	if u.id == "" {
		if u.id, err = u.b.core.NewMultipartUpload(ctx, u.b.name, u.key(), u.opts); err != nil {
			return explain(err)
		}
	}
	parts, etag, size, err := u.parts(ctx, pieces)
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
	size int64
	err  error
}

// parts sends all parts, in their order so many at once, and gives what the
// object's ETag and size will be.
func (u *upload) parts(ctx context.Context, pieces pieces) (parts []minio.CompletePart, etag string, size int64, err error) {
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
		sum, _ := hex.DecodeString(trim(got.part.ETag)) // of one that is no MD5 the whole's is not known either
		all.Write(sum)
		parts, size = append(parts, got.part), size+got.size
		return nil
	}
	for number, ended := 1, false; !ended; number++ {
		content, err := pieces(number)
		switch {
		case err == io.EOF:
			ended = true
		case err != nil:
			return nil, "", 0, err
		case number > maxParts:
			return nil, "", 0, fmt.Errorf("it is longer than %d parts of %d bytes", maxParts, u.partSize)
		default:
			result := make(chan sent, 1)
			waiting = append(waiting, result)
			go func() { result <- u.part(ctx, number, content) }()
		}
		for len(waiting) >= parallel || ended && len(waiting) > 0 {
			if err := collect(); err != nil {
				return nil, "", 0, err
			}
		}
	}
	return parts, fmt.Sprintf("%x-%d", all.Sum(nil), len(parts)), size, nil
}

// part sends one part, unless the store has it from before. The store checks it
// by the sha256 that is signed along: MD5, which takes three times as long, is for
// stores that insist, and to know again what is there.
func (u *upload) part(ctx context.Context, number int, content *piece) sent {
	withMD5 := u.md5.Load() || u.opts.Mode != ""
	got, err := u.partOnce(ctx, number, content, withMD5)
	if wantsMD5(err) && !withMD5 {
		u.md5.Store(true)
		got, err = u.partOnce(ctx, number, content, true)
	}
	if err != nil {
		return sent{err: cmp.Or(content.failed(), explain(err))}
	}
	return sent{part: minio.CompletePart{PartNumber: number, ETag: got.ETag}, size: content.size}
}

func (u *upload) partOnce(ctx context.Context, number int, content *piece, withMD5 bool) (is minio.ObjectPart, err error) {
	have, before := u.done[number]
	before = before && have.Size == content.size
	opts := minio.PutObjectPartOptions{DisableContentSha256: true}
	if before || withMD5 {
		sum, err := content.md5()
		if err != nil || before && trim(have.ETag) == hex.EncodeToString(sum) {
			return have, err
		}
		opts.Md5Base64 = base64.StdEncoding.EncodeToString(sum)
	}
	if opts.Sha256Hex, err = u.sha256Hex(number, content); err != nil {
		return is, err
	}
	return u.b.core.PutObjectPart(ctx, u.b.name, u.key(), u.id, number, content, content.size, opts)
}

// wantsMD5 reports whether a store insists on MD5, as Amazon's does in a bucket
// that locks by default.
func wantsMD5(err error) bool {
	response := minio.ErrorResponse{}
	return errors.As(err, &response) && response.StatusCode == http.StatusBadRequest && strings.Contains(response.Code+response.Message, "MD5")
}

// sha256Hex is the sum of a part, as it was when the file was read to its end.
func (u *upload) sha256Hex(number int, content *piece) (string, error) {
	if u.sums != nil && number <= len(u.sums.parts) {
		return hex.EncodeToString(u.sums.parts[number-1][:]), nil
	}
	sum, err := content.sum(sha256.New())
	return hex.EncodeToString(sum), err
}

// settle judges the request that gave the object its name. An answer that was
// lost leaves an object which is ours; so does a request that was sent twice. A
// store that names less than it was sent is found here.
func (u *upload) settle(ctx context.Context, err error, etag string, size int64) error {
	err = explain(err)
	if errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return err
	}
	var statErr error
	u.is, statErr = u.b.core.StatObject(ctx, u.b.name, u.key(), minio.StatObjectOptions{})
	switch {
	case statErr != nil && err != nil:
		return err
	case statErr != nil:
		return fmt.Errorf("the store took it and does not have it: %w", explain(statErr))
	case err != nil && (trim(u.is.ETag) != etag || u.is.Size != size):
		return err
	case u.is.Size != size:
		return fmt.Errorf("the store has %d bytes of the %d that it was sent: remove it and try again", u.is.Size, size)
	}
	return nil
}

func trim(etag string) string { return string(bytes.Trim([]byte(etag), `"`)) }

// sumsOf are what a store checks a small request by.
func sumsOf(content []byte) (md5Base64, sha256Hex string) {
	sum, digest := md5.Sum(content), sha256.Sum256(content) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(digest[:])
}

// KeepsFirst probes whether the store refuses to overwrite: some ignore the
// condition. It leaves nothing behind where it may remove what it wrote.
func (b *Bucket) KeepsFirst(ctx context.Context, nonce string) (bool, error) {
	key := b.prefix + ".lifeboat/probe-" + nonce
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*")
	put := func(content string) error {
		md5Base64, sha256Hex := sumsOf([]byte(content))
		_, err := b.core.PutObject(ctx, b.name, key, bytes.NewReader([]byte(content)), int64(len(content)), md5Base64, sha256Hex, signed(opts))
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
