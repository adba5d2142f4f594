package lifeboat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/ctxio"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// PackOptions say what goes into a new archive.
type PackOptions struct {
	Snapshot    string             // an etcd snapshot, or the data dir of a stopped member; "-" for a snapshot from Options.Stdin
	Kubernetes  string             // the folder to pack as kubernetes/, "" for none
	Previous    string             // the archive made before this one, "" for none; its digest is noted
	Node        string             // the name of this node
	Epoch       time.Time          // the time of everything packed, for reproducible archives; zero for the files' own
	Recipients  []crypto.Recipient // whom to encrypt to; none: it is not encrypted
	Compression archive.Compression
}

// Packing is a new archive, read and judged, and not written yet. Close it.
type Packing struct {
	Skipped []archive.Skipped // what of the folder is not packed

	// Unstartable are the mismatches that would keep the archived components from
	// starting.
	Unstartable []Check
	Missing     []string // of manifests and pki, what the folder has not

	manifest archive.Manifest
	time     time.Time // of the snapshot: by its Leases, else of its file
	clock    bool      // time is by its Leases
	opts     PackOptions
	src      *Backup
	folder   *os.Root // of opts.Kubernetes; nil without it
	items    []archive.Item
}

// Pack is the first pass of making an archive: everything is read and judged,
// nothing is written. Of open only what concerns opening opts.Snapshot counts:
// Spool, ScratchDir, Observer and what is said of data dirs.
func Pack(ctx context.Context, opts PackOptions, open Options) (*Packing, error) {
	if opts.Snapshot == "-" {
		open.RequireHash = true // of a pipe that was cut nothing else tells
	}
	src, err := Open(ctx, opts.Snapshot, open)
	if err != nil {
		return nil, err
	}
	x := &Packing{opts: opts, src: src, manifest: archive.Manifest{Node: opts.Node}}
	if err := x.survey(ctx); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Close gives up what was opened for packing.
func (x *Packing) Close() error {
	err := x.src.Close()
	if x.folder != nil {
		err = errors.Join(err, x.folder.Close())
	}
	return err
}

// Incomplete counts what belongs to the folder and is not in the archive: an
// operator has to hear of it. A link that leads nowhere is no loss.
func (x *Packing) Incomplete() int {
	left := len(x.Missing)
	for _, s := range x.Skipped {
		if s.Code != archive.DanglingLink {
			left++
		}
	}
	return left
}

func (x *Packing) survey(ctx context.Context) (err error) {
	if x.src.kind == Archive {
		return withHint(misusef("%q is an archive already, --snapshot takes the snapshot alone", x.opts.Snapshot), "encrypt an archive as it is: lifeboat archive encrypt")
	}
	if err := x.addSnapshot(ctx); err != nil {
		return err
	}
	if x.opts.Kubernetes == "" {
		x.src.opts.Observer.warn("without --kubernetes the archive holds no CA and no encryption keys: a lost control plane cannot be made again from it")
	} else if err := x.addFolder(ctx); err != nil {
		return err
	}
	if x.opts.Previous != "" {
		if x.manifest.Previous, err = digestOf(ctx, x.opts.Previous); err != nil {
			return err
		}
	}
	return x.describe(ctx)
}

// addSnapshot makes the database an item, with the trailer that `etcdctl
// snapshot save` writes: its own, or a computed one for a data dir. A bare
// database file stays without, because nothing vouches for it.
func (x *Packing) addSnapshot(ctx context.Context) error {
	status, err := x.src.db.Status()
	if err != nil {
		return err
	}
	size, at := status.FileSize, x.src.modTime
	if at.IsZero() { // it came through a pipe
		at = time.Now().UTC().Truncate(time.Second)
	}
	if x.src.kind == DataDir {
		size = status.Size
		if info, err := os.Stat(x.src.replay.Survivor.Dir.Database()); err == nil {
			at = info.ModTime()
		}
	}
	section := func() io.Reader { return io.NewSectionReader(x.src.file, 0, size) }
	sum, trailer, err := x.digest(ctx, section(), size)
	if err != nil {
		return err
	}
	x.items = append(x.items, archive.Item{
		Name: archive.SnapshotName, Mode: 0o600, ModTime: at, Size: size + int64(len(trailer)), SHA256: sum,
		Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(section(), bytes.NewReader(trailer))), nil
		},
	})
	x.manifest.Time = at
	if !x.opts.Epoch.IsZero() {
		x.manifest.Time = x.opts.Epoch
	}
	x.manifest.Etcd = archive.EtcdManifest{
		Revision: status.Revision, CompactRevision: status.CompactRevision, Version: status.ClusterVersion, StorageVersion: status.StorageVersion,
		Trailer: trailer != nil || x.src.trailer == snapshot.TrailerGood,
	}
	return nil
}

// digest is the sha256 of what is packed as the snapshot, and the trailer that
// is put behind it, nil for none.
func (x *Packing) digest(ctx context.Context, content io.Reader, size int64) (sum string, trailer []byte, err error) {
	own := x.src.sum
	if x.src.kind == Snapshot { // whose sum was just compared
		return hex.EncodeToString(own[:]), nil, nil
	}
	phase := x.src.opts.Observer.start("reading the snapshot", size)
	defer phase.Done()
	hash, err := snapshot.HashTrailer(ctx, phase.reader(ctx, content))
	if err == nil && hash.Size() != size {
		err = archive.ErrChanged
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	own = hash.Sum()
	if x.src.kind == DataDir {
		trailer = bytes.Clone(own[:])
		_, _ = hash.Write(trailer) // it never fails
		own = hash.Sum()
	}
	return hex.EncodeToString(own[:]), trailer, nil
}

// addFolder takes in the kubernetes/ half.
func (x *Packing) addFolder(ctx context.Context) (err error) {
	observer := x.src.opts.Observer
	phase := observer.start("reading "+x.opts.Kubernetes, 0)
	defer phase.Done()
	if x.folder, err = os.OpenRoot(x.opts.Kubernetes); err != nil {
		return fmt.Errorf("opening %q: %w", x.opts.Kubernetes, plainCause(err))
	}
	items, skipped, err := archive.Collect(ctx, x.folder, archive.FilesFolder, archive.Limits{})
	if err != nil {
		return err
	}
	view, err := viewOf(items)
	if err != nil {
		return err
	}
	x.items, x.Skipped = append(x.items, items...), skipped
	for _, s := range skipped {
		observer.warn("%q %s", s.Name, s.Reason)
	}
	x.src.control = view
	for _, part := range []string{"manifests", "pki"} {
		if _, err := view.Open(archive.FilesFolder + "/" + part); err != nil {
			observer.warn("there is no %s in %q: is it the /etc/kubernetes of a control plane?", part, x.opts.Kubernetes)
			x.Missing = append(x.Missing, part)
		}
	}
	return nil
}

// viewOf reads the files that are packed as kubernetes/.
func viewOf(items []archive.Item) (*controlplane.View, error) {
	control := controlplane.New()
	for _, item := range items {
		if item.Link != "" {
			control.AddLink(archive.Link{Name: item.Name, Target: item.Link})
		}
		if item.Open == nil {
			continue
		}
		r, err := item.Open()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(control.Add(item.Name, r), r.Close()); err != nil {
			return nil, err
		}
	}
	return control.View(), nil
}

// describe fills in what the archive says of itself.
func (x *Packing) describe(ctx context.Context) error {
	phase := x.src.opts.Observer.start("hashing the history", 0)
	defer phase.Done()
	hash, err := x.src.db.HashKV(ctx, 0)
	if err != nil {
		return err
	}
	x.manifest.Etcd.Hash = hash.Hash
	members, _, err := x.src.db.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		x.manifest.Etcd.Members = append(x.manifest.Etcd.Members, m.Name)
	}
	if x.src.replay != nil {
		x.manifest.Etcd.ClusterID = strconv.FormatUint(x.src.replay.Survivor.Log.ClusterID, 16)
	}
	if x.src.control != nil {
		x.manifest.KubernetesVersion, _ = x.src.control.KubernetesVersion()
	}
	if err := x.startable(ctx); err != nil {
		return err
	}
	if x.manifest.Cluster, err = x.src.ClusterUID(ctx); err != nil {
		x.src.opts.Observer.warn("no namespace kube-system can be read in the snapshot (%v): is it one of Kubernetes?", err)
	}
	if x.time, x.clock = x.src.snapshotTime(ctx); !x.clock {
		x.time = x.manifest.Time
	}
	return nil
}

// startable says what would keep the components from starting out of what is
// packed: now it can still be put right.
func (x *Packing) startable(ctx context.Context) error {
	if x.src.control == nil {
		return nil
	}
	checks, err := x.src.Startable(ctx)
	if err != nil {
		return err
	}
	for _, c := range checks {
		if c.State() == StateMismatch {
			x.src.opts.Observer.warn("%s: %s", c.Name, c.Detail)
			x.Unstartable = append(x.Unstartable, c)
		}
	}
	return nil
}

// Comment is the trusted comment for the signature of the archive.
func (x *Packing) Comment() string {
	const most = 100 // recipients, within minisign's bound
	var names []string
	for _, r := range x.opts.Recipients {
		names = append(names, r.Fingerprint())
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and-%d-more", more))
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return fmt.Sprintf("lifeboat archive cluster=%s revision=%d time=%s clock=%s recipients=%s",
		orDash(x.manifest.Cluster), x.manifest.Etcd.Revision, x.manifest.Time.UTC().Format(time.RFC3339), x.clockTime(), strings.Join(names, ","))
}

// clockTime is when the snapshot's newest revision was written, by its Leases;
// a dash where it has none.
func (x *Packing) clockTime() string {
	if !x.clock {
		return "-"
	}
	return x.time.UTC().Format(time.RFC3339)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func digestOf(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, ctxio.Reader(ctx, file)); err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
