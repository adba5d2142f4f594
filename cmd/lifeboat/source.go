package main

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

// sourceKind is what SRC turned out to be, in words.
type sourceKind string

const (
	kindArchive  sourceKind = "kube-backup archive"
	kindSnapshot sourceKind = "etcd snapshot"
	kindDatabase sourceKind = "etcd database"
	kindDataDir  sourceKind = "etcd data dir"
)

// source is SRC, opened: the one place where crypto, archive, snapshot and
// datadir meet. What it is was told by its bytes; every layer was read to its
// end before anything is handed out.
type source struct {
	path    string
	kind    sourceKind
	size    int64 // bytes, 0 when it came through a pipe
	modTime time.Time

	layers  []layer // from the outside in
	trailer snapshot.Trailer
	sum     [sha256.Size]byte // of the database and its trailer; only where there is one, or it was spooled
	late    *lateTrailer      // the check that runs beside, nil for none
	facts   []archive.Fact

	file *os.File // the database, in SRC itself or spooled; db owns it
	db   *snapshot.DB

	control *controlplane.View // the kubernetes/ half; nil when there is none
	inside  string             // name of the database, when it had to be taken from kubernetes/
	tail    datadir.Tail       // of a data dir
	replay  *datadir.Replay    // of a data dir

	survivors []*datadir.Survivor // the data dir and its peers

	signedBy, signedComment string // the key's id and the trusted comment, when the signature was checked
	links                   []archive.Link
}

// layer is one wrapping of SRC and what is known of it.
type layer struct {
	Name   string `json:"name"`   // age, gzip, tar, sha256 trailer, page structure
	State  string `json:"state"`  // whole, missing
	Detail string `json:"detail"` // for people
}

func (s *source) Close() error {
	if s.db == nil {
		return nil
	}
	s.late.stop()
	return s.db.Close()
}

// opener opens one SRC.
type opener struct {
	env    *environment
	opts   sourceOptions
	src    *source
	signed *os.File // SRC as its signature was checked, under --pubkey
}

// openSource opens SRC. The caller closes it.
func openSource(ctx context.Context, env *environment, opts sourceOptions, path string) (*source, error) {
	o := &opener{env: env, opts: opts, src: &source{path: path}}
	defer o.release()
	if err := o.open(ctx); err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, errors.Join(err, o.src.Close()))
	}
	return o.src, nil
}

func (o *opener) open(ctx context.Context) error {
	if err := o.checkSignature(ctx); err != nil {
		return err
	}
	if info, err := os.Stat(o.src.path); o.src.path == "-" || err == nil && !info.IsDir() {
		if err := o.opts.refuseDirFlags(); err != nil {
			return err
		}
	}
	if o.src.path == "-" {
		return o.stream(ctx, o.env.stdin)
	}
	info, err := os.Stat(o.src.path)
	if err != nil {
		return plainCause(err)
	}
	o.src.modTime = info.ModTime()
	if info.IsDir() && o.signed == nil {
		return o.dataDir(ctx)
	}
	file, err := o.file()
	if err == nil {
		info, err = file.Stat()
	}
	if err != nil {
		return plainCause(err)
	}
	if !info.Mode().IsRegular() {
		defer file.Close()
		return o.stream(ctx, file)
	}
	o.src.size = info.Size()
	head := make([]byte, archive.DetectSize)
	n, err := io.ReadFull(io.NewSectionReader(file, 0, info.Size()), head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return errors.Join(plainCause(err), file.Close())
	}
	if archive.Detect(head[:n]) == archive.Bolt {
		return o.databaseFile(ctx, file)
	}
	defer file.Close()
	return o.stream(ctx, file)
}

// plainCause is an error of the file system without the path, which the
// caller names.
func plainCause(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// databaseFile reads a database where it stands, its sha256 sum beside its
// pages. What the sum says counts first: it covers what the pages do not show.
func (o *opener) databaseFile(ctx context.Context, file *os.File) error {
	o.src.kind = kindDatabase
	switch {
	case !snapshot.HasTrailer(o.src.size):
		return o.database(ctx, file)
	case o.opts.trailer != trailerFirst:
		return o.unproven(ctx, file)
	}
	o.src.kind = kindSnapshot
	twin, err := duplicate(file) // a failed OpenFile closes its own
	if err != nil {
		return errors.Join(err, file.Close())
	}
	phase := o.env.progress.Start("checking sha256", o.src.size)
	defer phase.Done()
	hashed := make(chan error, 1)
	go func() {
		sum, err := snapshot.HashTrailer(ctx, phase.Reader(io.NewSectionReader(twin, 0, o.src.size)))
		o.src.trailer, o.src.sum = sum.Verdict(), sum.Sum()
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
func (o *opener) stream(ctx context.Context, r io.Reader) error {
	phase := o.env.progress.Start("reading "+o.src.path, o.src.size)
	defer phase.Done()
	keys, err := o.keys()
	if err != nil {
		return err
	}
	plain, info, err := crypto.NewReader(phase.Reader(&contextReader{ctx, r}), keys)
	if err != nil {
		return err
	}
	if info.Encrypted {
		o.src.layers = append(o.src.layers, layer{"age", "whole", "authenticated to its last chunk, " + recipientsOf(info)})
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
	o.src.kind = kindDatabase
	if err := o.spool(ctx, buffered); err != nil {
		return err
	}
	if o.src.trailer != snapshot.TrailerMissing {
		o.src.kind = kindSnapshot
	}
	return o.database(ctx, o.src.file)
}

// spool takes the database out of the stream, checking its trailer.
func (o *opener) spool(ctx context.Context, r io.Reader) error {
	if o.opts.MaxSize > 0 {
		r = &boundedReader{r: r, left: o.opts.MaxSize}
	}
	file, sum, err := snapshot.Spool{Where: snapshot.Where(o.opts.Spool), Dir: o.opts.spoolDir}.Take(ctx, r)
	if err != nil {
		return err
	}
	o.src.file, o.src.trailer, o.src.sum = file, sum.Verdict(), sum.Sum()
	return nil
}

// database judges the trailer and opens the database, which takes file over.
func (o *opener) database(ctx context.Context, file *os.File) error {
	o.src.file = nil // nobody else closes it from here on
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

func (o *opener) judgeTrailer() error {
	switch {
	case o.src.trailer == snapshot.TrailerWrong:
		return wrongTrailer()
	case o.src.trailer == snapshot.TrailerMissing && o.opts.RequireHash:
		return &codedError{Code: exitDamaged, Err: errors.New("sha256 trailer: missing, and --require-hash asks for it")}
	case o.src.trailer == snapshot.TrailerMissing:
		o.src.layers = append(o.src.layers, layer{"sha256 trailer", "missing", "not provable without the trailer: the data pages carry no checksum"})
		if o.src.kind != kindDataDir { // a member's own database never has one
			o.env.warn("the database has no sha256 trailer: nothing proves that it is whole")
		}
	default:
		o.src.layers = append(o.src.layers, layer{"sha256 trailer", "whole", "the database is what etcd wrote"})
	}
	return nil
}

func (o *opener) opened(db *snapshot.DB, file *os.File) {
	o.src.db, o.src.file = db, file
	o.src.layers = append(o.src.layers, layer{"page structure", "whole", "every page is reachable once, in order and in bounds"})
}

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
		return 0, refusef("it has more bytes than --max-size allows")
	}
	return n, err
}
