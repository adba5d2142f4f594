package console

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// SourceKind is what SRC turned out to be, in words.
type SourceKind string

const (
	KindArchive  SourceKind = "kube-backup archive"
	KindSnapshot SourceKind = "etcd snapshot"
	kindDatabase SourceKind = "etcd database"
	KindDataDir  SourceKind = "etcd data dir"
)

// Source is SRC, opened: the one place where crypto, archive, snapshot and
// datadir meet. What it is was told by its bytes; every layer was read to its
// end before anything is handed out.
type Source struct {
	Path    string
	Kind    SourceKind
	Size    int64 // bytes, 0 when it came through a pipe
	ModTime time.Time

	Layers  []Layer // from the outside in
	Trailer snapshot.Trailer
	Sum     [sha256.Size]byte // of the database and its trailer; only where there is one, or it was spooled
	late    *lateTrailer      // the check that runs beside, nil for none
	Facts   []archive.Fact

	File *os.File // the database, in SRC itself or spooled; db owns it
	Db   *snapshot.DB

	Control *controlplane.View // the kubernetes/ half; nil when there is none
	Inside  string             // name of the database, when it had to be taken from kubernetes/
	Tail    datadir.Tail       // of a data dir
	Replay  *datadir.Replay    // of a data dir

	Survivors []*datadir.Survivor // the data dir and its peers

	SignedBy, SignedComment string // the key's id and the trusted comment, when the signature was checked
	Links                   []archive.Link
}

// Layer is one wrapping of SRC and what is known of it.
type Layer struct {
	Name   string `json:"name"`   // age, gzip, tar, sha256 trailer, page structure
	State  string `json:"state"`  // whole, missing
	Detail string `json:"detail"` // for people
}

func (s *Source) Close() error {
	if s.Db == nil {
		return nil
	}
	s.late.stop()
	return s.Db.Close()
}

// Opener opens one SRC.
type Opener struct {
	Env    *Environment
	Opts   SourceOptions
	Src    *Source
	signed *os.File // SRC as its signature was checked, under --pubkey
}

// OpenSource opens SRC. The caller closes it.
func OpenSource(ctx context.Context, env *Environment, opts SourceOptions, path string) (*Source, error) {
	o := &Opener{Env: env, Opts: opts, Src: &Source{Path: path}}
	defer o.Release()
	if err := o.open(ctx); err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, errors.Join(err, o.Src.Close()))
	}
	return o.Src, nil
}

func (o *Opener) open(ctx context.Context) error {
	if err := o.CheckSignature(ctx); err != nil {
		return err
	}
	if info, err := os.Stat(o.Src.Path); o.Src.Path == "-" || err == nil && !info.IsDir() {
		if err := o.Opts.refuseDirFlags(); err != nil {
			return err
		}
	}
	if o.Src.Path == "-" {
		return o.stream(ctx, o.Env.Stdin)
	}
	info, err := os.Stat(o.Src.Path)
	if err != nil {
		return PlainCause(err)
	}
	o.Src.ModTime = info.ModTime()
	if info.IsDir() && o.signed == nil {
		return o.dataDir(ctx)
	}
	file, err := o.File()
	if err == nil {
		info, err = file.Stat()
	}
	if err != nil {
		return PlainCause(err)
	}
	if !info.Mode().IsRegular() {
		defer file.Close()
		return o.stream(ctx, file)
	}
	o.Src.Size = info.Size()
	head := make([]byte, archive.DetectSize)
	n, err := io.ReadFull(io.NewSectionReader(file, 0, info.Size()), head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return errors.Join(PlainCause(err), file.Close())
	}
	if archive.Detect(head[:n]) == archive.Bolt {
		return o.databaseFile(ctx, file)
	}
	defer file.Close()
	return o.stream(ctx, file)
}

// PlainCause is an error of the file system without the path, which the
// caller names.
func PlainCause(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// databaseFile reads a database where it stands, its sha256 sum beside its
// pages. What the sum says counts first: it covers what the pages do not show.
func (o *Opener) databaseFile(ctx context.Context, file *os.File) error {
	o.Src.Kind = kindDatabase
	switch {
	case !snapshot.HasTrailer(o.Src.Size):
		return o.database(ctx, file)
	case o.Opts.Trailer != TrailerFirst:
		return o.unproven(ctx, file)
	}
	o.Src.Kind = KindSnapshot
	twin, err := duplicate(file) // a failed OpenFile closes its own
	if err != nil {
		return errors.Join(err, file.Close())
	}
	phase := o.Env.Progress.Start("checking sha256", o.Src.Size)
	defer phase.Done()
	hashed := make(chan error, 1)
	go func() {
		sum, err := snapshot.HashTrailer(ctx, phase.Reader(io.NewSectionReader(twin, 0, o.Src.Size)))
		o.Src.Trailer, o.Src.Sum = sum.Verdict(), sum.Sum()
		hashed <- errors.Join(err, twin.Close())
	}()
	db, openErr := snapshot.OpenFile(ctx, file)
	err = <-hashed
	if err == nil {
		err = o.judgeTrailer()
	}
	switch {
	case err != nil && db != nil:
		return errors.Join(err, db.Close())
	case err != nil:
		return err
	case openErr != nil:
		return openErr
	}
	o.opened(db, file)
	return nil
}

// duplicate is a second descriptor of an open file.
func duplicate(file *os.File) (*os.File, error) {
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// stream reads SRC once from its beginning to its end.
func (o *Opener) stream(ctx context.Context, r io.Reader) error {
	phase := o.Env.Progress.Start("reading "+o.Src.Path, o.Src.Size)
	defer phase.Done()
	keys, err := o.Keys()
	if err != nil {
		return err
	}
	plain, info, err := crypto.NewReader(phase.Reader(&contextReader{ctx, r}), keys)
	if err != nil {
		return err
	}
	if info.Encrypted {
		o.Src.Layers = append(o.Src.Layers, Layer{"age", "whole", "authenticated to its last chunk, " + RecipientsOf(info)})
		o.noteUnsigned()
	}
	buffered := bufio.NewReaderSize(plain, archive.DetectSize)
	head, err := buffered.Peek(archive.DetectSize)
	if err != nil && err != io.EOF {
		return err
	}
	if archive.Detect(head) != archive.Bolt {
		return o.archive(ctx, buffered)
	}
	o.Src.Kind = kindDatabase
	if err := o.spool(ctx, buffered); err != nil {
		return err
	}
	if o.Src.Trailer != snapshot.TrailerMissing {
		o.Src.Kind = KindSnapshot
	}
	return o.database(ctx, o.Src.File)
}

// spool takes the database out of the stream, checking its trailer.
func (o *Opener) spool(ctx context.Context, r io.Reader) error {
	if o.Opts.MaxSize > 0 {
		r = &boundedReader{r: r, left: o.Opts.MaxSize}
	}
	file, sum, err := snapshot.Spool{Where: snapshot.Where(o.Opts.Spool), Dir: o.Opts.SpoolDir}.Take(ctx, r)
	if err != nil {
		return err
	}
	o.Src.File, o.Src.Trailer, o.Src.Sum = file, sum.Verdict(), sum.Sum()
	return nil
}

// database judges the trailer and opens the database, which takes file over.
func (o *Opener) database(ctx context.Context, file *os.File) error {
	o.Src.File = nil // nobody else closes it from here on
	if err := o.judgeTrailer(); err != nil {
		return errors.Join(err, file.Close())
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	o.opened(db, file)
	return nil
}

func (o *Opener) judgeTrailer() error {
	switch {
	case o.Src.Trailer == snapshot.TrailerWrong:
		return wrongTrailer()
	case o.Src.Trailer == snapshot.TrailerMissing && o.Opts.RequireHash:
		return &CodedError{Code: ExitDamaged, Err: errors.New("sha256 trailer: missing, and --require-hash asks for it")}
	case o.Src.Trailer == snapshot.TrailerMissing:
		o.Src.Layers = append(o.Src.Layers, Layer{"sha256 trailer", "missing", "not provable without the trailer: the data pages carry no checksum"})
		if o.Src.Kind != KindDataDir { // a member's own database never has one
			o.Env.Warn("the database has no sha256 trailer: nothing proves that it is whole")
		}
	default:
		o.Src.Layers = append(o.Src.Layers, Layer{"sha256 trailer", "whole", "the database is what etcd wrote"})
	}
	return nil
}

func (o *Opener) opened(db *snapshot.DB, file *os.File) {
	o.Src.Db, o.Src.File = db, file
	o.Src.Layers = append(o.Src.Layers, Layer{"page structure", "whole", "every page is reachable once, in order and in bounds"})
}

// NewContextReader reads r until ctx ends.
func NewContextReader(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

// contextReader ends reading when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// boundedReader refuses a stream that has more bytes than --max-size; a
// database that comes by itself through a pipe has no other bound.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, Refusef("it has more bytes than --max-size allows")
	}
	return n, err
}
