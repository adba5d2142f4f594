package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// archive reads a kube-backup archive: the snapshot goes to the spool, the
// kubernetes/ half into memory. Nothing is opened before the end was reached.
func (o *Opener) archive(ctx context.Context, r io.Reader) (err error) {
	o.Src.Kind = KindArchive
	reader, err := archive.NewReader(r, archive.Limits{MaxBytes: o.Opts.MaxSize})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && o.Src.File != nil && o.Src.Db == nil {
			err = errors.Join(err, o.Src.File.Close())
		}
	}()
	control := controlplane.New()
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return o.stillGood(err)
		}
		if err := o.entry(ctx, entry, reader, control); err != nil {
			return o.stillGood(fmt.Errorf("reading entry %d %q: %w", entry.Number, entry.Name, err))
		}
	}
	o.Src.Facts, o.Src.Links = reader.Facts(), reader.Links()
	for _, fact := range o.Src.Facts {
		o.Env.Warn("entry %d %q: %s", fact.Number, fact.Entry, fact.Detail)
	}
	if err := reader.CheckSnapshot(); err != nil {
		return err
	}
	if format := reader.Format(); format != archive.Tar {
		detail := "checksum and length are right, nothing follows"
		if !reader.Checksummed() {
			detail = "read to its end, but its writer left the checksum out"
		}
		o.Src.Layers = append(o.Src.Layers, Layer{string(format), "whole", detail})
	}
	o.Src.Layers = append(o.Src.Layers, Layer{"tar", "whole", "read to its end blocks, nothing follows"})
	for _, link := range o.Src.Links {
		control.AddLink(link)
	}
	if view := control.View(); len(view.Files()) > 0 {
		o.Src.Control = view
	}
	return o.database(ctx, o.Src.File)
}

// entry takes what is needed out of one entry of an archive.
func (o *Opener) entry(ctx context.Context, entry *archive.Entry, r io.Reader, control *controlplane.Builder) (err error) {
	if (entry.Kind == archive.Snapshot || entry.InKubernetes()) && o.isWanted(entry) {
		return o.snapshotEntry(ctx, entry, r)
	}
	if o.Opts.Inventory != nil {
		if r, err = o.Opts.Inventory.Watch(entry, r); err != nil {
			return err
		}
	}
	if entry.Kind == archive.Kubernetes && !entry.InKubernetes() {
		err = control.Add(entry.Name, r)
	}
	if err == nil && o.Opts.Inventory != nil {
		_, err = io.Copy(io.Discard, r) // the digest is of all of it
	}
	return err
}

// isWanted tells the database that the archive's snapshot is, as far as the
// entries met so far tell: one under kubernetes/ is held until another comes.
// One too many is the reader's error at the end.
func (o *Opener) isWanted(entry *archive.Entry) bool {
	return o.Src.File == nil || o.Src.Inside != "" && !entry.InKubernetes()
}

// snapshotEntry spools the database. Its digest is that of the spool: it is
// hashed once, for the trailer and for the inventory.
func (o *Opener) snapshotEntry(ctx context.Context, entry *archive.Entry, r io.Reader) error {
	if o.Src.File != nil {
		if err := o.Src.File.Close(); err != nil {
			return err
		}
		o.Src.File, o.Src.Inside = nil, ""
	}
	if entry.InKubernetes() {
		o.Src.Inside = entry.Name
	}
	if err := o.spool(ctx, r); err != nil {
		return err
	}
	if o.Opts.Inventory != nil {
		o.Opts.Inventory.Note(entry, hex.EncodeToString(o.Src.Sum[:]))
	}
	return nil
}

// stillGood adds to an error in the middle of an archive what was read whole
// before it.
func (o *Opener) stillGood(err error) error {
	if o.Src.File == nil || o.Src.Inside != "" || o.Src.Trailer != snapshot.TrailerGood {
		return err
	}
	return WithHint(err, "the snapshot before the damage was read whole, its sha256 trailer is good: take it out with tar and give it to lifeboat by itself")
}
