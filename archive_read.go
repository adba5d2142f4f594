package lifeboat

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// archive reads a kube-backup archive: the snapshot goes to the spool, the
// kubernetes/ half into memory. Nothing is opened before the end was reached.
func (o *opener) archive(ctx context.Context, r io.Reader) (err error) {
	o.src.kind = Archive
	packed := &countedReader{r: r}
	reader, err := archive.NewReader(packed, o.opts.limits())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && o.src.file != nil && o.src.db == nil {
			err = errors.Join(err, o.src.file.Close())
		}
	}()
	control, entries, elsewhere := controlplane.New(), int64(0), &strays{}
	for {
		entry, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return o.stillGood(err)
		}
		entries++
		o.noteLog(entry)
		if err := o.entry(ctx, entry, reader, control, elsewhere); err != nil {
			return o.stillGood(fmt.Errorf("reading entry %d %q: %w", entry.Number, entry.Name, err))
		}
	}
	o.src.facts, o.src.links = reader.Facts(), reader.Links()
	for _, fact := range o.src.facts {
		if fact.Code == archive.HardLink || fact.Code == archive.Unopened && fact.Entry == o.dbName {
			continue // nothing is missing
		}
		o.opts.Observer.warn("entry %d %q: %s", fact.Number, fact.Entry, fact.Detail)
	}
	if err := reader.CheckSnapshot(o.opts.SnapshotName); err != nil {
		return hintPacked(err)
	}
	o.archiveLayers(reader, packed.n, entries)
	if err := o.checkPackedLog(); err != nil {
		return err
	}
	if err := o.controlPlane(control, elsewhere); err != nil {
		return err
	}
	return o.database(ctx, o.src.file)
}

// archiveLayers says what reading to the end has proved.
func (o *opener) archiveLayers(reader *archive.Reader, packed, entries int64) {
	if format := reader.Format(); format != archive.Tar {
		detail := "checksum and length are right, nothing follows"
		if !reader.Checksummed() {
			detail = "read to its end, but its writer left the checksum out"
		}
		if n := reader.Padding(); n > 0 {
			detail += fmt.Sprintf(" but %d zero bytes, as a tape or dd leaves them", n)
		}
		o.src.layers = append(o.src.layers, Layer{Name: string(format), State: "whole", Detail: detail, Looked: packed, Of: "bytes"})
	}
	o.src.layers = append(o.src.layers, Layer{Name: "tar", State: "whole", Detail: "read to its end blocks, nothing follows", Looked: entries, Of: "entries"})
}

// entry takes what is needed out of one entry of an archive.
func (o *opener) entry(ctx context.Context, entry *archive.Entry, r io.Reader, control *controlplane.Builder, elsewhere *strays) (err error) {
	if entry.Again && entry.Name == o.dbName {
		if err := o.dropSnapshot(); err != nil {
			return err
		}
	}
	if (entry.Kind == archive.Snapshot || entry.InKubernetes() || entry.PackedSnapshot()) && o.isWanted(entry) {
		return o.snapshotEntry(ctx, entry, r)
	}
	watched, err := o.src.inventory.Watch(entry, r)
	if err != nil {
		// Whoever wants an object does not need the manifest; Verify says it.
		o.src.unread = fmt.Errorf("reading entry %d %q: %w", entry.Number, entry.Name, err)
		return nil
	}
	switch {
	case entry.InKubernetes():
	case entry.Kind == archive.Kubernetes:
		o.files = append(o.files, entry.Name)
		err = control.Add(entry.Name, watched)
	case entry.Kind == archive.Other && entry.Format != archive.Apple:
		err = elsewhere.keep(entry.Name, watched)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, watched) // the digest is of all of it
	}
	return err
}

// isWanted tells the database that the archive's snapshot is, as far as the
// entries met so far tell: one under kubernetes/ is held until a compressed one
// comes, and that until a plain one does. One too many is the reader's error at
// the end.
func (o *opener) isWanted(entry *archive.Entry) bool {
	switch {
	case o.opts.SnapshotName != "":
		return entry.Name == path.Clean(strings.TrimLeft(o.opts.SnapshotName, "/"))
	case o.src.file == nil:
		return true
	case entry.InKubernetes():
		return false
	}
	return o.src.inside != "" || o.packed && !entry.PackedSnapshot()
}

// dropSnapshot gives up what was spooled: another comes in its place.
func (o *opener) dropSnapshot() error {
	if o.src.file == nil {
		return nil
	}
	err := o.src.file.Close()
	o.src.file, o.src.inside, o.dbName, o.packed = nil, "", "", false
	return err
}

// snapshotEntry spools the database. Its digest is that of the spool: it is
// hashed once, for the trailer and for the inventory.
func (o *opener) snapshotEntry(ctx context.Context, entry *archive.Entry, r io.Reader) error {
	if err := o.dropSnapshot(); err != nil {
		return err
	}
	if entry.InKubernetes() {
		o.src.inside = entry.Name
	}
	o.dbName, o.packed = entry.Name, entry.PackedSnapshot()
	if o.packed {
		return o.packedEntry(ctx, entry, r)
	}
	sum, err := o.spool(ctx, r)
	if err != nil {
		return err
	}
	o.src.inventory.Note(entry, hex.EncodeToString(sum[:]))
	return nil
}

// packedEntry spools a database that is compressed within the archive.
func (o *opener) packedEntry(ctx context.Context, entry *archive.Entry, r io.Reader) error {
	watched, err := o.src.inventory.Watch(entry, r)
	if err != nil {
		return err
	}
	plain, err := archive.Decompress(watched, o.opts.limits())
	if err != nil {
		return err
	}
	o.opts.Observer.note("%q, a %s file, is taken for the snapshot", entry.Name, entry.Format)
	_, err = o.spool(ctx, plain)
	return err
}

// stillGood adds to an error in the middle of an archive what was read whole
// before it.
func (o *opener) stillGood(err error) error {
	if o.src.file == nil || o.src.inside != "" || o.src.trailer != snapshot.TrailerGood {
		return err
	}
	return withHint(err, "the snapshot before the damage was read whole, its sha256 trailer is good: take it out with tar and give it to lifeboat by itself")
}
