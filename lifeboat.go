// Package lifeboat opens what is left of a Kubernetes control plane and gives
// back what is wanted of it: without a cluster, without a network, and without
// changing what it reads.
//
//	b, err := lifeboat.Open(ctx, "kube-backup.tar.gz", lifeboat.Options{})
//	if err != nil { … }
//	defer b.Close()
//	got, err := b.Extract(ctx, registry.Selection{Namespaces: []string{"infra"}}, lifeboat.ExtractOptions{})
//	if err != nil { … }
//	_, err = registry.WriteDir(ctx, "restored", got.Plan)
//
// Open takes an archive (.tar.gz, .tar.zst, .tar, each with or without .age),
// an etcd snapshot, a bare database or the data dir of a stopped member, and
// tells them apart by their bytes. It reads every layer to its end before it
// returns: age's last chunk, the checksums of gzip and zstd, tar's end, the
// snapshot's sha256 trailer, the page structure of the database. What it could
// not prove stands in Layers.
//
// A Backup then gives:
//
//   - [Backup.DB], the etcd database, read-only: revisions, members, hashes
//     (package snapshot)
//   - [Backup.Objects], the Kubernetes objects in it (package registry)
//   - [Backup.ControlPlane], the manifests and certificates beside it (package
//     archive/controlplane)
//   - [Backup.Verify], everything that can be said about whether it is whole,
//     belongs together, and is the newest
//   - [Backup.Extract], manifests ready for kubectl create
//   - [Backup.Replay], where it came from a data dir, for package
//     snapshot/datadir, which makes data dirs that start
//
// Nothing here prints or asks. What a person should hear on the way goes to an
// [Observer]; errors say by their [Class] what kind of answer they are, and
// carry a hint where there is something to do. Texts name an option by the flag
// that the command has for it; each field of Options says which.
//
// Data dirs are read by etcd's own code in a child process, which is this very
// program: call etcdproc.Main(datadir.Tasks()...) first thing in main, and in
// TestMain.
package lifeboat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/registry"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Kind is what a source turned out to be, in words.
type Kind string

// The kinds of sources.
const (
	Archive  Kind = "kube-backup archive"
	Snapshot Kind = "etcd snapshot" // with etcd's sha256 trailer
	Database Kind = "etcd database"
	DataDir  Kind = "etcd data dir"
)

// Layer is one wrapping of a source and what is known of it.
type Layer struct {
	Name   string `json:"name"`   // signature, age, gzip, tar, sha256 trailer, page structure, …
	State  string `json:"state"`  // good, whole or missing
	Detail string `json:"detail"` // for people

	Looked int64  `json:"-"` // how much was looked at, 0 where State is missing
	Of     string `json:"-"` // what Looked counts: "bytes", "entries"
}

// Backup is a source, opened. Its methods may be called side by side, Close
// last.
type Backup struct {
	path    string
	kind    Kind
	size    int64
	modTime time.Time
	opts    Options

	layers  []Layer
	trailer snapshot.Trailer
	sum     [sha256.Size]byte // of the database and its trailer; only where there is one, or it was spooled
	late    *lateTrailer      // the check that runs beside, nil for none
	facts   []archive.Fact
	links   []archive.Link

	file *os.File // the database, in the source itself or spooled; db owns it
	db   *snapshot.DB

	control   *controlplane.View // nil when there is none
	inside    string             // name of the database, when it had to be taken from kubernetes/
	inventory archive.Inventory  // of an archive
	unread    error              // why the archive's manifest could not be read, nil where it could

	tail      datadir.Tail
	replay    *datadir.Replay
	survivors []*datadir.Survivor // the data dir and its peers
	members   []snapshot.Member   // before ForceNewCluster renamed one; nil for those of db

	signedBy, signedComment string

	past past

	ring     *registry.Keyring
	ringErr  error
	ringOnce sync.Once
}

// Open opens a source, "-" for Options.Stdin. The caller closes the Backup.
//
// Errors are of type *Error where more is known than that it failed: Damaged,
// Refused, Misused. Those of the packages below are wrapped and can be asked
// for: crypto.ErrNoKey, crypto.ErrSignature, archive.ErrDamaged,
// snapshot.ErrDamaged, snapshot.ErrInUse and their like.
func Open(ctx context.Context, path string, opts Options) (*Backup, error) {
	o := newOpener(path, opts)
	defer o.release()
	err := o.open(ctx)
	if err == nil && opts.SnapshotName != "" && o.src.kind != Archive {
		err = misusef("--snapshot-name chooses among the databases of an archive; SRC is of another kind: %s", o.src.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, errors.Join(err, o.src.Close()))
	}
	return o.src, nil
}

// Close gives up the database and all that was spooled.
func (b *Backup) Close() error {
	if b.db == nil {
		return nil
	}
	b.late.stop()
	return errors.Join(b.closePast(), b.db.Close())
}

// Path is what Open was given.
func (b *Backup) Path() string { return b.path }

// Kind is what the source turned out to be.
func (b *Backup) Kind() Kind { return b.kind }

// Size is the source's size in bytes, 0 when it came through a pipe or is a
// folder.
func (b *Backup) Size() int64 { return b.size }

// ModTime is the source's time stamp, zero when it came through a pipe.
func (b *Backup) ModTime() time.Time { return b.modTime }

// Layers are the wrappings of the source, from the outside in.
func (b *Backup) Layers() []Layer { return b.layers }

// Facts are what was noticed in an archive that reading survived.
func (b *Backup) Facts() []archive.Fact { return b.facts }

// Manifest is the archive's MANIFEST.json, nil where there is none.
func (b *Backup) Manifest() *archive.Manifest { return b.inventory.Manifest }

// DB is the etcd database. It is closed with the Backup.
func (b *Backup) DB() *snapshot.DB { return b.db }

// File is the file of the database, for what needs it by its descriptor:
// etcdproc.Start, datadir.PlanRestore. It belongs to the Backup.
func (b *Backup) File() *os.File { return b.file }

// Trailer is what is known of the snapshot's sha256 trailer; with
// TrailerBeside, only after Prove.
func (b *Backup) Trailer() snapshot.Trailer { return b.trailer }

// ControlPlane is the kubernetes/ half of an archive, nil when there is none.
func (b *Backup) ControlPlane() *controlplane.View { return b.control }

// Adopt takes the kubernetes/ half of another backup of the same cluster, for a
// database or a data dir that has none. It comes before anything is asked of the
// objects. Whether the two are of one cluster, Verify says.
func (b *Backup) Adopt(other *Backup) {
	if b.control == nil {
		b.control = other.control
	}
}

// Replay is what the log of a data dir held beyond its database, nil for any
// other source. DB already has it.
func (b *Backup) Replay() *datadir.Replay { return b.replay }

// Evidence is what the dirs at hand prove of a data dir's acknowledged writes,
// nil for any other source.
func (b *Backup) Evidence() *datadir.Evidence {
	if b.replay == nil {
		return nil
	}
	return &b.replay.AtHand
}

// Tail is what stood in the log of a data dir beyond its database.
func (b *Backup) Tail() datadir.Tail { return b.tail }

// Survivors are the surveys of a data dir and of its peers, in the order in
// which they were given. Which of them was read, Replay says.
func (b *Backup) Survivors() []*datadir.Survivor { return b.survivors }

// SignedBy is the id of the key whose signature was checked, and the trusted
// comment under it; both "" without Options.PubKey.
func (b *Backup) SignedBy() (key, comment string) { return b.signedBy, b.signedComment }

// EtcdPrefix is where Kubernetes' keys begin: as Options say, else the backup's
// kube-apiserver manifest, else /registry.
func (b *Backup) EtcdPrefix() string {
	prefix := b.opts.EtcdPrefix
	if prefix == "" && b.control != nil {
		prefix = b.control.EtcdPrefix()
	}
	return cmp.Or(prefix, registry.DefaultPrefix)
}

// RegistryOptions say how the Kubernetes side of the backup is read at an etcd
// revision, 0 for the newest: with the keys and the prefix that Options give,
// else with those in the backup. What is wrong with the backup's own keys is a
// warning to the Observer, and values stay locked; an error is of
// Options.EncryptionConfig, or a *registry.PrefixError: there are keys, and
// none under the prefix.
func (b *Backup) RegistryOptions(rev int64) (registry.Options, error) {
	b.ringOnce.Do(func() { b.ring, b.ringErr = b.unlock() })
	if b.ringErr != nil {
		return registry.Options{}, b.ringErr
	}
	return registry.Options{Prefix: b.EtcdPrefix(), Keyring: b.ring, Revision: rev}, nil
}

// Objects are the Kubernetes objects as of an etcd revision, 0 for the newest.
func (b *Backup) Objects(rev int64) (*registry.Registry, error) {
	opts, err := b.RegistryOptions(rev)
	if err != nil {
		return nil, err
	}
	return registry.New(b.History(), opts), nil
}
