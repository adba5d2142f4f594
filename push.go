package lifeboat

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/archive/place/bucket"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
	"github.com/lifeboat-dr/lifeboat/internal/filelock"
)

// Pushed is a file that is in a place now.
type Pushed struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Sent   bool   `json:"sent"`   // false: it was there already, with this content
	Signed bool   `json:"signed"` // its signature is there, too
}

// ProbeOverwrite asks a place whether it refuses to overwrite, and warns the
// Observer where it does not: some stores ignore the condition, and another run
// with the same name could then replace what is pushed now.
func ProbeOverwrite(ctx context.Context, to place.Store, observer Observer) error {
	b, ok := to.(*bucket.Bucket)
	if !ok {
		return nil
	}
	kept, err := b.KeepsFirst(ctx, strings.ToLower(rand.Text()))
	if err == nil && !kept {
		observer.warn("%s overwrites what is there although it is told not to (If-None-Match): names are looked at first, and two runs at once may still overwrite each other", to.Root())
	}
	return err
}

// Push sends a file, and the signature beside it first, to a place; of a link,
// such as latest, what it leads to. Where it was cut off before it goes on. fs.ErrExist: another content has the name.
func Push(ctx context.Context, path string, to place.Store, lockUntil time.Time, observer Observer) (Pushed, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Pushed{}, err
	}
	p := Pushed{Name: filepath.Base(path)}
	file, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &Error{Class: Misused, Err: fmt.Errorf("%q is not a file", path)}
	}
	if err != nil {
		return p, err
	}
	p.Size = info.Size()
	b, toBucket := to.(*bucket.Bucket)
	var sums *bucket.Sums
	hashing := observer.start("hashing "+path, p.Size)
	content := hashing.reader(ctx, io.NewSectionReader(file, 0, p.Size))
	if toBucket {
		if sums, err = b.Sum(content, p.Size); err == nil {
			p.SHA256 = sums.Digest
		}
	} else {
		p.SHA256, err = hexSum(content)
	}
	hashing.Done()
	if err != nil {
		return p, fmt.Errorf("reading %q: %w", path, err)
	}
	if p.Signed, err = pushSignature(ctx, path, to, lockUntil); err != nil {
		return p, err
	}
	phase := observer.start("pushing "+path, p.Size)
	defer phase.Done()
	if toBucket {
		p.Sent, err = b.Push(ctx, p.Name, file, sums, bucket.PushOptions{LockUntil: lockUntil, Count: phase.Add})
		return p, errors.Join(err, unchanged(file, info))
	}
	if !lockUntil.IsZero() {
		return p, misusef("a folder knows no object lock")
	}
	p.Sent, err = pushToFolder(ctx, to, p, phase.reader(ctx, io.NewSectionReader(file, 0, p.Size)))
	return p, err
}

// unchanged says whether a file was written to while it was pushed: a store that
// checks no sums has something else now.
func unchanged(file *os.File, before os.FileInfo) error {
	now, err := file.Stat()
	if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
		err = fmt.Errorf("pushing %q: the file changed meanwhile: what is in the store is not what it was", file.Name())
	}
	return err
}

func hexSum(r io.Reader) (string, error) {
	sum := sha256.New()
	_, err := io.CopyBuffer(sum, struct{ io.Reader }{r}, make([]byte, 1<<20))
	return hex.EncodeToString(sum.Sum(nil)), err
}

func pushSignature(ctx context.Context, path string, to place.Store, lockUntil time.Time) (bool, error) {
	signature, err := os.Open(path + SignatureSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer signature.Close()
	text, err := place.ReadSmall(signature, path+SignatureSuffix, crypto.MaxSignature)
	if err != nil {
		return false, err
	}
	name := filepath.Base(path) + SignatureSuffix
	if b, ok := to.(*bucket.Bucket); ok {
		sums, err := b.Sum(bytes.NewReader(text), int64(len(text)))
		if err == nil {
			_, err = b.Push(ctx, name, bytes.NewReader(text), sums, bucket.PushOptions{LockUntil: lockUntil})
		}
		return err == nil, err
	}
	have, err := to.Read(ctx, name, crypto.MaxSignature)
	if err == nil && string(have) == string(text) {
		return true, nil
	}
	err = to.Put(ctx, name, strings.NewReader(string(text)))
	return err == nil, err
}

// pushToFolder copies a file, unless the same one is there.
func pushToFolder(ctx context.Context, to place.Store, p Pushed, content io.Reader) (sent bool, err error) {
	sum := sha256.New()
	err = to.Put(ctx, p.Name, io.TeeReader(content, sum))
	if errors.Is(err, fs.ErrExist) {
		have, openErr := os.Open(filepath.Join(to.Root(), p.Name))
		if openErr != nil {
			return false, err
		}
		defer have.Close()
		if digest, sumErr := hexSum(ctxio.Reader(ctx, have)); sumErr == nil && digest == p.SHA256 {
			return false, nil
		}
		return false, err
	}
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		err = fmt.Errorf("pushing %q: the file changed meanwhile: what is in %q is not what it was", p.Name, to.Root())
	}
	return true, err
}

// Pulled is an archive that was fetched.
type Pulled struct {
	File   string `json:"file"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Proven bool   `json:"proven"` // the sum is the one that was kept when it was pushed
	Signed bool   `json:"signed"` // its signature came along
}

// Pull fetches an archive, and its signature, into a new file. A run that was
// killed has left a part beside the file, which is gone on with as long as the
// archive in the place is the same.
func Pull(ctx context.Context, source, target string, opts Options) (*Pulled, error) {
	if _, err := os.Lstat(target); err == nil { // not first when all of it has come
		return nil, fmt.Errorf("pulling %q: %q: %w", source, target, fs.ErrExist)
	}
	store, e, err := findInPlace(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("finding %q: %w", source, err)
	}
	p := &Pulled{File: target, Size: e.Size}
	part, err := openPart(target, e)
	if err != nil {
		return nil, err
	}
	defer filelock.Release(part) //nolint:errcheck // whoever wants it next asks for it
	if err := fetch(ctx, store, e, part, opts.Observer); err != nil {
		return nil, fmt.Errorf("pulling %q: %w", source, err)
	}
	if p.SHA256, err = hexSum(ctxio.Reader(ctx, io.NewSectionReader(part, 0, e.Size))); err != nil {
		return nil, err
	}
	if b, ok := store.(*bucket.Bucket); ok {
		kept, err := b.Digest(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		p.Proven = kept == p.SHA256
		if kept != "" && !p.Proven {
			return nil, &Error{
				Class: Damaged, Err: errors.Join(fmt.Errorf("pulling %q: sha256 %s came, and %s was pushed", source, p.SHA256, kept), os.Remove(part.Name())),
				Hint: "try again; where it stays so, the store has damaged it",
			}
		}
	}
	if p.Signed, err = pullSignature(ctx, store, e, target); err != nil {
		return nil, err
	}
	return p, errors.Join(part.Sync(), name(part.Name(), target))
}

// findInPlace splits PLACE/NAME.
func findInPlace(ctx context.Context, source string) (place.Store, place.Entry, error) {
	if bucket.Is(source) {
		return bucket.Find(ctx, source)
	}
	folder, err := place.OpenFolder(filepath.Dir(source))
	if err != nil {
		return nil, place.Entry{}, err
	}
	e, err := folder.Entry(filepath.Base(source))
	return folder, e, err
}

// openPart opens what a killed run has left, or begins. Its name holds the
// version: a part of another content is not gone on with.
func openPart(target string, e place.Entry) (*os.File, error) {
	version := sha256.Sum256([]byte(e.Name + "\x00" + e.Version))
	path := filepath.Join(filepath.Dir(target), fmt.Sprintf(".%s.%x.lifeboat-pull", filepath.Base(target), version[:6]))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = filelock.Take(file)
	if errors.Is(err, filelock.ErrHeld) {
		err = refusef("%q is being pulled by another run", target)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// fetch appends to part what is missing of an archive.
func fetch(ctx context.Context, store place.Store, e place.Entry, part *os.File, observer Observer) error {
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > e.Size {
		return fmt.Errorf("%q is longer than the archive: remove it", part.Name())
	}
	if have > 0 {
		observer.note("going on after %d of %d bytes", have, e.Size)
	}
	file, err := store.Open(ctx, e)
	if err != nil {
		return err
	}
	defer file.Close()
	phase := observer.start("pulling "+e.Path, e.Size-have)
	defer phase.Done()
	var content io.Reader = file
	if have > 0 {
		if content, err = place.From(file, have); err != nil {
			return err
		}
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{part}, phase.reader(ctx, content), make([]byte, 1<<20))
	if err == nil && have+n != e.Size {
		err = fmt.Errorf("%d bytes of %d came", have+n, e.Size)
	}
	return err
}

func pullSignature(ctx context.Context, store place.Store, e place.Entry, target string) (bool, error) {
	signature, err := store.Read(ctx, e.Name+SignatureSuffix, crypto.MaxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	folder, err := place.OpenFolder(filepath.Dir(target))
	if err != nil {
		return false, err
	}
	beside := filepath.Base(target) + SignatureSuffix
	if have, err := folder.Read(ctx, beside, crypto.MaxSignature); err == nil && string(have) == string(signature) {
		return true, nil
	}
	err = folder.Put(ctx, beside, strings.NewReader(string(signature)))
	return err == nil, err
}

// name gives what was pulled its name, which nobody must have.
func name(part, target string) error {
	err := os.Link(part, target)
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err != nil { // a file system without links
		if _, err := os.Lstat(target); err == nil {
			return fmt.Errorf("%q: %w", target, fs.ErrExist)
		}
		return os.Rename(part, target)
	}
	return os.Remove(part)
}
