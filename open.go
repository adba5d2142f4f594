package lifeboat

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/words"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// opener opens one source: the one place where crypto, archive, snapshot and
// datadir meet.
type opener struct {
	opts   Options
	src    *Backup
	signed *os.File // the source as its signature was checked, under PubKey

	// Of an archive in a place; both nil for a path of this host.
	store  place.Store
	listed *place.Entry

	// Of an archive.
	files   []string // those of kubernetes/
	dbName  string   // the entry that was spooled as the database
	logName string   // the folder of a write-ahead log
	packed  bool     // the database spooled was compressed by itself

	zip   *os.File // a zip file, spooled
	ended []func() // what is known when all was read, see under
}

func newOpener(path string, opts Options) *opener {
	return &opener{opts: opts, src: &Backup{path: path, opts: opts}}
}

func (o *opener) open(ctx context.Context) error {
	if err := o.locate(ctx); err != nil {
		return err
	}
	if err := o.checkSignature(ctx); err != nil {
		return err
	}
	if err := o.read(ctx); err != nil || o.src.kind == DataDir {
		return err
	}
	return o.continued(ctx)
}

// read reads the source's layers.
func (o *opener) read(ctx context.Context) error {
	if o.listed != nil {
		return o.inPlace(ctx)
	}
	info, err := os.Stat(o.src.path)
	if o.src.path != "-" && err == nil && o.isMember(info) {
		o.src.modTime = info.ModTime()
		return o.dataDir(ctx)
	}
	if err == nil && info.Mode().IsRegular() && datadir.IsCollected(o.src.path) {
		return withHint(fmt.Errorf("the evidence of a member, which has no data in it: %w", archive.ErrOtherFormat),
			"it takes the place of the member's dir: lifeboat etcd compare "+words.ShellQuote(o.src.path)+" OTHER..., or --peer-dir "+words.ShellQuote(o.src.path))
	}
	if o.src.path == "-" || err == nil && !info.IsDir() {
		if err := o.opts.refuseDirOptions(); err != nil {
			return err
		}
	}
	if o.src.path == "-" {
		return o.stream(ctx, o.stdin())
	}
	if err != nil {
		return plainCause(err)
	}
	o.src.modTime = info.ModTime()
	if info.IsDir() && o.signed == nil {
		return o.dataDir(ctx)
	}
	file, err := o.file(ctx)
	if err != nil {
		return plainCause(err)
	}
	if !file.regular {
		defer file.Close()
		return o.stream(ctx, file)
	}
	return o.regular(ctx, file.disk, file.size)
}

// inPlace opens an archive of a place. A database in a bucket is spooled first.
func (o *opener) inPlace(ctx context.Context) error {
	if err := o.opts.refuseDirOptions(); err != nil {
		return err
	}
	file, err := o.file(ctx)
	if err != nil {
		return plainCause(err)
	}
	o.src.modTime, o.src.size = o.listed.ModTime, file.size
	if file.disk != nil {
		return o.regular(ctx, file.disk, file.size)
	}
	defer file.Close()
	return o.stream(ctx, file)
}

func (o *opener) stdin() io.Reader {
	if o.opts.Stdin == nil {
		return strings.NewReader("")
	}
	return o.opts.Stdin
}

// regular opens a file: a database where it stands, anything else as a stream.
func (o *opener) regular(ctx context.Context, file *os.File, size int64) error {
	o.src.size = size
	head := make([]byte, archive.DetectSize)
	n, err := io.ReadFull(io.NewSectionReader(file, 0, size), head)
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
	o.src.kind = Database
	length, err := o.length(file, o.src.size)
	switch {
	case err != nil:
		return errors.Join(err, file.Close())
	case !snapshot.HasTrailer(length):
		return o.database(ctx, file)
	case o.opts.Trailer != TrailerFirst:
		return o.unproven(ctx, file)
	}
	o.src.kind = Snapshot
	twin, err := duplicate(file) // a failed OpenFile closes its own
	if err != nil {
		return errors.Join(err, file.Close())
	}
	phase := o.opts.Observer.start("checking sha256", length)
	defer phase.Done()
	hashed := make(chan error, 1)
	go func() {
		sum, err := snapshot.HashTrailer(ctx, phase.reader(ctx, io.NewSectionReader(twin, 0, length)))
		if err == nil {
			o.src.trailer, o.src.sum = sum.Verdict(), sum.Sum()
		}
		hashed <- errors.Join(err, twin.Close())
	}()
	db, openErr := snapshot.OpenFile(ctx, file)
	err = <-hashed
	if err == nil {
		err = o.judgeTrailer(length)
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

// stream reads the source once from its beginning to its end.
func (o *opener) stream(ctx context.Context, r io.Reader) error {
	phase := o.opts.Observer.start("reading "+o.src.path, o.src.size)
	defer phase.Done()
	keys, err := o.keys()
	if err != nil {
		return err
	}
	in := &countedReader{r: phase.reader(ctx, r)}
	plain, info, err := crypto.NewReader(in, keys)
	if err != nil {
		return err
	}
	if info.Encrypted {
		o.noteUnsigned()
		o.under(in, Layer{Name: "age", State: "whole", Detail: "authenticated to its last chunk, " + recipientsOf(info), Of: "bytes"})
	}
	defer func() {
		for _, count := range o.ended {
			count()
		}
	}()
	buffered := bufio.NewReaderSize(plain, archive.DetectSize)
	head, err := buffered.Peek(archive.DetectSize)
	if err != nil && err != io.EOF {
		return err
	}
	if buffered, head, err = o.unwrap(ctx, buffered, head); err != nil {
		return err
	}
	if archive.Detect(head) != archive.Bolt {
		return hintFormat(o.archive(ctx, buffered))
	}
	o.src.kind = Database
	if _, err := o.spool(ctx, buffered); err != nil {
		return err
	}
	if o.src.trailer != snapshot.TrailerMissing {
		o.src.kind = Snapshot
	}
	return o.database(ctx, o.src.file)
}

// length is that of the database in a file: zero bytes behind a snapshot are not
// of it.
func (o *opener) length(file io.ReaderAt, size int64) (int64, error) {
	length, err := snapshot.Length(file, size)
	if n := size - length; err == nil && n > 0 {
		o.opts.Observer.note("%d zero bytes follow the snapshot, as a tape or a block device leaves them: they are passed over", n)
	}
	return length, err
}

// spool takes the database out of the stream, checking its trailer, and gives
// the digest of all that came.
func (o *opener) spool(ctx context.Context, r io.Reader) (all [sha256.Size]byte, err error) {
	file, sum, err := o.opts.spool().Take(ctx, o.opts.bounded(r))
	if err != nil {
		return all, err
	}
	o.src.file, all = file, sum.Sum()
	length, err := o.length(file, sum.Size())
	if err == nil && length < sum.Size() {
		sum, err = snapshot.HashTrailer(ctx, io.NewSectionReader(file, 0, length))
	}
	if err == nil {
		o.src.trailer, o.src.sum = sum.Verdict(), sum.Sum()
	}
	return all, err
}

// database judges the trailer and opens the database, which takes file over.
func (o *opener) database(ctx context.Context, file *os.File) error {
	o.src.file = nil // nobody else closes it from here on
	info, err := file.Stat()
	if err == nil {
		err = o.judgeTrailer(info.Size())
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	db, err := snapshot.OpenFile(ctx, file)
	if err != nil {
		return err
	}
	o.opened(db, file)
	return nil
}

// judgeTrailer says what the sum over a database of size bytes proves.
func (o *opener) judgeTrailer(size int64) error {
	switch {
	case o.src.trailer == snapshot.TrailerWrong:
		return wrongTrailer()
	case o.src.trailer == snapshot.TrailerMissing && o.opts.RequireHash:
		return &Error{Class: Damaged, Err: errors.New("sha256 trailer: missing, and --require-hash asks for it")}
	case o.src.trailer == snapshot.TrailerMissing:
		o.src.layers = append(o.src.layers, Layer{Name: "sha256 trailer", State: "missing", Detail: "not provable without the trailer: the data pages carry no checksum"})
		if o.src.kind != DataDir { // a member's own database never has one
			o.opts.Observer.warn("the database has no sha256 trailer: nothing proves that it is whole")
		}
	default:
		o.src.layers = append(o.src.layers, Layer{Name: "sha256 trailer", State: "whole", Detail: "the database is what etcd wrote", Looked: size, Of: "bytes"})
	}
	return nil
}

func (o *opener) opened(db *snapshot.DB, file *os.File) {
	o.src.db, o.src.file = db, file
	layer := Layer{Name: "page structure", State: "whole", Detail: "every page is reachable once, in order and in bounds", Of: "bytes"}
	if info, err := db.Status(); err == nil {
		layer.Looked = info.Size
	}
	o.src.layers = append(o.src.layers, layer)
}
