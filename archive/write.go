package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
)

// The names of an archive's parts: those that operators' scripts use, with a
// page for people at the beginning and one for programs at the end.
const (
	SnapshotName = "etcd-backup.snapshot"
	FilesFolder  = "kubernetes"
	RecoveryName = "RECOVERY.txt"
	ManifestName = "MANIFEST.json"
)

// ErrChanged says that a file was another one when it was packed than when it
// was checked.
var ErrChanged = errors.New("changed while it was read")

// Item is a file, folder or symbolic link that goes into an archive.
type Item struct {
	Name    string      // "kubernetes/pki/ca.crt"; the rules of reading hold
	Mode    fs.FileMode // type and permissions
	ModTime time.Time
	Size    int64
	Link    string // target of a symbolic link

	UID, GID int // owner and group, root where they are not set

	// Open gives the content, from its beginning at every call.
	Open func() (io.ReadCloser, error)

	// SHA256 is of the content when it was checked, in hex; "" takes any.
	SHA256 string
}

// WriteOptions say how an archive is written.
type WriteOptions struct {
	Compression Compression
	Recovery    string   // text of RECOVERY.txt
	Manifest    Manifest // without Entries, which Write fills in

	// Newest, unless zero, is the newest time that an entry may carry: that of
	// SOURCE_DATE_EPOCH.
	Newest time.Time
}

// Write writes an archive: RECOVERY.txt, the items by name, MANIFEST.json.
// Owners are numbers and times are whole seconds, so the same items give the
// same bytes wherever and by whomever they are packed. It gives the manifest as it
// was written.
//
// Errors: *PolicyError for an item that Reader would refuse, ErrChanged,
// errors of the items and of dst, wrapped.
func Write(ctx context.Context, dst io.Writer, items []Item, opts WriteOptions) (*Manifest, error) {
	packer, err := opts.Compression.compressor(dst)
	if err != nil {
		return nil, err
	}
	w := &tarWriter{ctx: ctx, tar: tar.NewWriter(packer), opts: opts, names: names{}, buffer: make([]byte, 256<<10)}
	err = w.writeAll(items)
	if closeErr := packer.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("writing the archive: %w", err)
	}
	return &w.opts.Manifest, nil
}

type tarWriter struct {
	ctx    context.Context
	tar    *tar.Writer
	opts   WriteOptions
	names  names
	buffer []byte
}

func (w *tarWriter) writeAll(items []Item) error {
	items = slices.SortedFunc(slices.Values(items), func(a, b Item) int { return strings.Compare(a.Name, b.Name) })
	if opts := w.opts; opts.Recovery != "" {
		if err := w.add(textItem(RecoveryName, []byte(opts.Recovery), opts.Manifest.Time)); err != nil {
			return err
		}
	}
	for _, item := range items {
		if err := w.add(item); err != nil {
			return err
		}
	}
	text, err := w.opts.Manifest.encode()
	if err != nil {
		return err
	}
	entries := w.opts.Manifest.Entries // the manifest does not list itself
	if err := w.add(textItem(ManifestName, text, w.opts.Manifest.Time)); err != nil {
		return err
	}
	w.opts.Manifest.Entries = entries
	return w.tar.Close()
}

func textItem(name string, text []byte, at time.Time) Item {
	return Item{
		Name: name, Mode: 0o644, ModTime: at, Size: int64(len(text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil },
	}
}

// add writes one item and puts it into the manifest.
func (w *tarWriter) add(item Item) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	name, err := cleanName(item.Name)
	if err == nil {
		err = w.admit(name, item.Mode)
	}
	if err != nil {
		return &PolicyError{Entry: item.Name, Number: len(w.opts.Manifest.Entries) + 1, Reason: err.Error()}
	}
	header, err := w.header(item, name)
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("packing %q: %w", name, err)
	}
	entry := ManifestEntry{Name: name, Mode: fmt.Sprintf("%04o", item.Mode.Perm()), Owner: ownerText(item.UID, item.GID)}
	switch {
	case item.Mode.IsDir():
		entry.Type = "directory"
	case item.Mode&fs.ModeSymlink != 0:
		entry.Type, entry.Link = "link", item.Link
	default:
		entry.Type, entry.Size = "file", item.Size
		if entry.SHA256, err = w.content(item); err != nil {
			return fmt.Errorf("packing %q: %w", name, err)
		}
	}
	w.opts.Manifest.Entries = append(w.opts.Manifest.Entries, entry)
	return nil
}

// admit refuses a second item of one name: nothing that is written here has one.
func (w *tarWriter) admit(name string, mode fs.FileMode) error {
	kind := aFile
	switch {
	case mode.IsDir():
		kind = aFolder
	case mode&fs.ModeSymlink != 0:
		kind = aLink
	}
	again, err := w.names.add(name, kind)
	if again && kind != aFolder {
		err = errors.New("a name that was there before")
	}
	return err
}

func (w *tarWriter) header(item Item, name string) (*tar.Header, error) {
	at := item.ModTime.UTC().Truncate(time.Second)
	if newest := w.opts.Newest; !newest.IsZero() && at.After(newest) {
		at = newest
	}
	h := &tar.Header{Name: "./" + name, Mode: int64(item.Mode.Perm()), ModTime: at, Uid: item.UID, Gid: item.GID}
	if item.UID == 0 {
		h.Uname = "root"
	}
	if item.GID == 0 {
		h.Gname = "root"
	}
	switch {
	case item.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case item.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, item.Link
	case item.Mode.IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, item.Size
	default:
		return nil, &PolicyError{Entry: item.Name, Number: len(w.opts.Manifest.Entries) + 1, Reason: "neither a file nor a folder nor a symbolic link"}
	}
	return h, nil
}

// content copies a file into the archive and gives its digest.
func (w *tarWriter) content(item Item) (string, error) {
	r, err := item.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	sum := sha256.New()
	in := ctxio.Reader(w.ctx, r)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w.tar, sum)}, io.LimitReader(in, item.Size), w.buffer)
	if err != nil {
		return "", err
	}
	// One byte more: it may have grown.
	more, err := io.ReadFull(in, make([]byte, 1))
	if err != nil && err != io.EOF {
		return "", err
	}
	digest := hexSum(sum)
	if n != item.Size || more > 0 || item.SHA256 != "" && item.SHA256 != digest {
		return "", ErrChanged
	}
	return digest, nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
