package lifeboat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// Packed is an archive that was written, and can be read back while its key
// lives: the host that makes archives has public keys alone.
type Packed struct {
	Manifest *archive.Manifest

	key      age.Identity // of the file itself, nil for a plain one
	observer Observer
}

// Write is the second pass: it reads, digests, compresses, encrypts and writes.
// archive.ErrChanged says that something is not what the first pass read.
func (x *Packing) Write(ctx context.Context, out io.Writer) (*Packed, error) {
	observer := x.src.opts.Observer
	total := int64(0)
	for _, item := range x.items {
		total += item.Size
	}
	phase := observer.start("packing", total)
	defer phase.Done()
	items := make([]archive.Item, len(x.items))
	for i, item := range x.items {
		if items[i] = item; item.Open != nil {
			items[i].Open = func() (io.ReadCloser, error) {
				r, err := item.Open()
				return struct {
					io.Reader
					io.Closer
				}{phase.reader(ctx, r), r}, err
			}
		}
	}
	done := &Packed{observer: observer}
	buffered := bufio.NewWriterSize(out, 1<<20)
	var dst io.WriteCloser = nopCloser{buffered}
	if len(x.opts.Recipients) > 0 {
		w, err := crypto.NewWriter(buffered, false, x.opts.Recipients...)
		if err != nil {
			return nil, err
		}
		dst, done.key = w, w.Identity()
	}
	var err error
	done.Manifest, err = archive.Write(ctx, dst, items, archive.WriteOptions{
		Compression: x.opts.Compression, Recovery: x.recoveryText(), Manifest: x.manifest, Newest: x.opts.Epoch,
	})
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	if flushErr := buffered.Flush(); err == nil {
		err = flushErr
	}
	return done, err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// ReadBack reads the size bytes of an archive that Write wrote through every
// layer to its end, and holds them against the manifest.
func (p *Packed) ReadBack(ctx context.Context, file *os.File, size int64) error {
	phase := p.observer.start("reading back", size)
	defer phase.Done()
	if err := p.readBack(phase.reader(ctx, io.NewSectionReader(file, 0, size))); err != nil {
		return fmt.Errorf("reading back what was written: %w", err)
	}
	return nil
}

func (p *Packed) readBack(r io.Reader) error {
	keys := crypto.Keys{}
	if p.key != nil {
		keys.Identities = []age.Identity{p.key}
	}
	plain, info, err := crypto.NewReader(r, keys)
	if err != nil {
		return err
	}
	if info.Encrypted != (p.key != nil) {
		return errors.New("it is not encrypted")
	}
	reader, err := archive.NewReader(plain, archive.Limits{})
	if err != nil {
		return err
	}
	inventory, err := takeInventory(reader)
	if err != nil {
		return err
	}
	if err := reader.CheckSnapshot(""); err != nil {
		return err
	}
	for _, fact := range reader.Facts() {
		if fact.Code == archive.InnerDatabase {
			p.observer.note("%q %s", fact.Entry, fact.Detail)
		}
	}
	if wrong := inventory.Check(reader.Links()); len(wrong) > 0 || inventory.Manifest == nil || len(inventory.Manifest.Entries) != len(p.Manifest.Entries) {
		return &archive.DamagedError{Layer: "manifest", Err: fmt.Errorf("it is not what was packed: %q", wrong)}
	}
	return nil
}

func takeInventory(reader *archive.Reader) (*archive.Inventory, error) {
	inventory := &archive.Inventory{}
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			return inventory, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := inventory.Watch(entry, reader)
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			return nil, err
		}
	}
}
