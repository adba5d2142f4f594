// Package bucket is a place of archives in a store that speaks S3.
//
//	b, err := bucket.Open(ctx, "s3://backups/lifeboat")
//	archives, err := b.List(ctx)
//
// Nothing is sent before a method is called. Endpoint, region and credentials
// come from where every S3 client looks for them: see Config.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lifeboat-dr/lifeboat/archive/place"
)

const scheme = "s3://"

// Is reports whether a path names a bucket.
func Is(path string) bool { return strings.HasPrefix(path, scheme) }

// Bucket is a bucket, or the part of one below a prefix.
type Bucket struct {
	core   *minio.Core
	name   string
	prefix string // ends with a slash, or is empty
	part   int64  // bytes of a part of an upload
}

var _ place.Store = (*Bucket)(nil)

// Open gives the bucket of s3://BUCKET/PREFIX, with the configuration of this
// host. It does not ask the store whether there is one.
func Open(_ context.Context, url string) (*Bucket, error) {
	config, err := ReadConfig()
	if err != nil {
		return nil, err
	}
	return config.Open(url)
}

// Open gives the bucket of s3://BUCKET/PREFIX.
func (c Config) Open(url string) (*Bucket, error) {
	name, prefix, err := split(url)
	if err != nil {
		return nil, err
	}
	core, err := c.client()
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		prefix = strings.TrimSuffix(prefix, "/") + "/"
	}
	return &Bucket{core, name, prefix, partSize}, nil
}

func split(url string) (name, prefix string, err error) {
	rest := strings.TrimPrefix(url, scheme)
	name, prefix, _ = strings.Cut(rest, "/")
	switch {
	case strings.Contains(name, "@"), strings.Contains(name, ":"):
		return "", "", errors.New("opening a bucket: write s3://BUCKET/PREFIX; endpoint and credentials come from the environment")
	case name == "" || prefix != "" && place.CheckName(strings.TrimSuffix(prefix, "/")) != nil:
		return "", "", fmt.Errorf("opening %q: write s3://BUCKET/PREFIX", url)
	}
	return name, prefix, nil
}

// Root is the bucket's URL.
func (b *Bucket) Root() string { return scheme + b.name + "/" + strings.TrimSuffix(b.prefix, "/") }

// Find gives an object by its URL, with the folder that it is in.
func Find(ctx context.Context, url string) (*Bucket, place.Entry, error) {
	b, err := Open(ctx, strings.TrimSuffix(url, path.Base(url)))
	if err != nil {
		return nil, place.Entry{}, err
	}
	e, err := b.Entry(ctx, path.Base(url))
	return b, e, err
}

// Entry gives what the store says of an object; fs.ErrNotExist where there is
// none.
func (b *Bucket) Entry(ctx context.Context, name string) (place.Entry, error) {
	if err := place.CheckName(name); err != nil {
		return place.Entry{}, err
	}
	info, err := b.core.StatObject(ctx, b.name, b.prefix+name, minio.StatObjectOptions{})
	if err != nil {
		return place.Entry{}, explain(err)
	}
	e := b.entry(info)
	if _, err := b.core.StatObject(ctx, b.name, b.prefix+name+place.SignatureSuffix, minio.StatObjectOptions{}); err == nil {
		e.Signed = true
	}
	return e, nil
}

func (b *Bucket) entry(info minio.ObjectInfo) place.Entry {
	name := strings.TrimPrefix(info.Key, b.prefix)
	return place.Entry{
		Name: name, Path: scheme + b.name + "/" + info.Key, Size: info.Size,
		ModTime: info.LastModified.UTC().Truncate(time.Second), Version: strings.Trim(info.ETag, `"`),
	}
}

// List gives the archives. Folders that are not the operator's, such as that of
// the ledger, are not gone into: it may have more objects than all the rest.
func (b *Bucket) List(ctx context.Context) ([]place.Entry, error) {
	l := b.listing(false)
	for next := []string{b.prefix}; len(next) > 0; next = next[1:] {
		below, err := l.folder(ctx, next[0])
		if err != nil {
			return nil, fmt.Errorf("listing %q: %w", b.Root(), err)
		}
		next = append(next, below...)
	}
	all, err := place.Listed(l.all)
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", b.Root(), err)
	}
	return all, nil
}

// most bounds a listing: one that never ends is not a listing.
const most = 5_000_000

// listing is what a store says it holds. It is not believed: a key that was not
// asked for, or that comes twice, ends it.
type listing struct {
	b         *Bucket
	recursive bool
	seen      map[string]bool
	all       []place.Entry
}

func (b *Bucket) listing(recursive bool) *listing {
	return &listing{b: b, recursive: recursive, seen: map[string]bool{}}
}

// folder adds the objects below a prefix, and gives the folders there.
func (l *listing) folder(ctx context.Context, prefix string) (folders []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	for info := range l.b.core.ListObjectsIter(ctx, l.b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: l.recursive}) {
		switch {
		case info.Err != nil:
			return nil, explain(info.Err)
		case !strings.HasPrefix(info.Key, prefix) || len(l.seen) == most:
			return nil, fmt.Errorf("the store lists %q, which was not asked for", info.Key)
		case info.Key == prefix: // an object that stands for the folder
			continue
		case l.seen[info.Key]:
			return nil, fmt.Errorf("the store lists %q twice", info.Key)
		}
		l.seen[info.Key] = true
		folder, isFolder := strings.CutSuffix(info.Key, "/")
		switch {
		case !isFolder:
			l.all = append(l.all, l.b.entry(info))
		case strings.HasPrefix(path.Base(folder), "."):
		case place.CheckName(folder) != nil:
			return nil, fmt.Errorf("the store lists the folder %q", info.Key)
		default:
			folders = append(folders, info.Key)
		}
	}
	return folders, ctx.Err()
}

// Below gives the names of all objects below a folder.
func (b *Bucket) Below(ctx context.Context, folder string) ([]string, error) {
	l := b.listing(true)
	if _, err := l.folder(ctx, b.prefix+folder+"/"); err != nil {
		return nil, err
	}
	var names []string
	for _, e := range l.all {
		if place.CheckName(e.Name) == nil {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// Read gives a small object.
func (b *Bucket) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, _, _, err := b.core.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, explain(err)
	}
	r := &timed{body, cancel, time.AfterFunc(stall, cancel)}
	data, err := place.ReadSmall(r, name, limit)
	return data, explain(errors.Join(err, r.Close()))
}

// Open opens an archive for reading. Interrupted reads go on where they were.
func (b *Bucket) Open(ctx context.Context, e place.Entry) (place.File, error) {
	if err := place.CheckName(e.Name); err != nil {
		return nil, err
	}
	return &object{ctx: ctx, b: b, e: e}, nil
}

// Locked says until when a retention or a legal hold keeps an object: by its own
// headers where the store sends them, else by asking for both.
func (b *Bucket) Locked(ctx context.Context, e place.Entry) (string, error) {
	info, err := b.core.StatObject(ctx, b.name, b.prefix+e.Name, minio.StatObjectOptions{})
	if err != nil {
		return "", explain(err)
	}
	if lock := lockIn(info.Metadata, time.Now()); lock != "" { // what most stores say by themselves
		return lock, nil
	}
	mode, until, err := b.core.GetObjectRetention(ctx, b.name, b.prefix+e.Name, "")
	if err = unlocked(err); err != nil {
		return "", err
	}
	if mode != nil && until != nil && until.After(time.Now()) {
		return fmt.Sprintf("locked until %s (%s)", until.UTC().Format(time.RFC3339), strings.ToLower(string(*mode))), nil
	}
	hold, err := b.core.GetObjectLegalHold(ctx, b.name, b.prefix+e.Name, minio.GetObjectLegalHoldOptions{})
	if err = unlocked(err); err != nil {
		return "", err
	}
	if hold != nil && *hold == minio.LegalHoldEnabled {
		return "on legal hold", nil
	}
	return "", nil
}

// lockIn is the lock that the headers of an object tell of, "" for none.
func lockIn(headers http.Header, now time.Time) string {
	until, err := time.Parse(time.RFC3339, headers.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	switch {
	case err == nil && until.After(now):
		return fmt.Sprintf("locked until %s (%s)", until.UTC().Format(time.RFC3339), strings.ToLower(headers.Get("X-Amz-Object-Lock-Mode")))
	case headers.Get("X-Amz-Object-Lock-Legal-Hold") == string(minio.LegalHoldEnabled):
		return "on legal hold"
	}
	return ""
}

// unlocked is nil for what stores answer of objects and buckets without locks.
func unlocked(err error) error {
	response := minio.ErrorResponse{}
	if err == nil || !errors.As(err, &response) {
		return explain(err)
	}
	switch response.Code {
	case "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented", "MethodNotAllowed":
		return nil
	}
	if response.StatusCode == http.StatusNotImplemented {
		return nil
	}
	return explain(err)
}

// Remove deletes an archive, and the signature beside it after that.
func (b *Bucket) Remove(ctx context.Context, e place.Entry) error {
	if err := place.CheckName(e.Name); err != nil || !place.IsArchive(e.Name) {
		return fmt.Errorf("removing %q: %w", e.Name, fs.ErrInvalid)
	}
	now, err := b.Entry(ctx, e.Name)
	if err == nil && now.Version != e.Version {
		err = place.ErrReplaced
	}
	for _, name := range []string{e.Name, e.Name + place.SignatureSuffix, e.Name + place.ProofSuffix} {
		if err == nil {
			err = explain(b.core.RemoveObject(ctx, b.name, b.prefix+name, minio.RemoveObjectOptions{}))
		}
	}
	if err != nil {
		return fmt.Errorf("removing %q: %w", e.Name, err)
	}
	return nil
}

// explain gives errors of a store the classes that errors of files have. What it
// says is quoted: it is somebody else's text.
func explain(err error) error {
	response := minio.ErrorResponse{}
	if err == nil || err == io.EOF || !errors.As(err, &response) || response.Code == "" {
		return err
	}
	said := fmt.Sprintf("the store says %s: %q", response.Code, response.Message)
	switch {
	case response.StatusCode == http.StatusNotFound || response.Code == minio.NoSuchKey:
		if response.Code == minio.NoSuchKey || response.Code == "NotFound" {
			return fs.ErrNotExist
		}
		return fmt.Errorf("%w: %s", fs.ErrNotExist, said)
	case response.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %s", fs.ErrExist, said)
	case response.Code == "RequestTimeTooSkewed":
		return fmt.Errorf("%w: %s: this host's clock says %s", fs.ErrPermission, said, time.Now().UTC().Format(time.RFC3339))
	case response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %s", fs.ErrPermission, said)
	}
	return errors.New(said)
}
