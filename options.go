package lifeboat

import (
	"io"

	"filippo.io/age/plugin"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Options say how a source is opened. The zero value opens what is not
// encrypted, and reads every layer to its end. In JSON they are without what
// talks to a person.
type Options struct {
	Stdin io.Reader `json:"-"` // what the path "-" reads; nil is empty

	Identities     []string                             // files with age or ssh private keys (--identity)
	PassphraseFile string                               // its first line opens the source or an identity (--passphrase-file)
	Ask            func(subject string) ([]byte, error) `json:"-"` // asks a person for the passphrase of subject, a path; nil: nobody is there
	Plugins        *plugin.ClientUI                     `json:"-"` // lets age plugins be run, and talk; nil forbids them (--plugins)

	PubKey           string // file with the minisign key that has to have signed the source (--pubkey)
	EncryptionConfig string // EncryptionConfiguration file, where the backup's own will not do (--encryption-config)
	EtcdPrefix       string // "" is what the backup's kube-apiserver manifest says, else /registry (--etcd-prefix)

	Spool        snapshot.Where // where plaintext goes that has to be read out of order; "" is snapshot.Anywhere (--spool)
	ScratchDir   string         // folder for what cannot be in memory; "" is the system's temporary folder
	SnapshotName string         // of several databases in an archive, the one that is the snapshot (--snapshot-name)
	MaxSize      int64          // bytes that may be unpacked, 0 for no bound of ours (--max-size)
	RequireHash  bool           // refuse a database without etcd's sha256 trailer (--require-hash)
	Trailer      TrailerCheck   // when the sha256 trailer of a snapshot file is checked

	// Of a data dir.
	PeerDirs      []string // data dirs of other members of the same cluster (--peer-dir)
	WALDirs       []string // where the logs stand, if not in the dirs: the source's, then the peers', "" for in the dir; a snapshot is continued with the log in the first (--src-wal-dir)
	CommittedOnly bool     // cut the log where a commit is recorded: acknowledged writes may be lost (--committed-only)
	AcceptLoss    bool     // go on where the log is damaged, or another dir has more (--accept-loss)

	// StateDir is the folder in which Verify remembers the newest signed
	// archive of each cluster, to tell an old one in its place; "" remembers
	// nothing. See DefaultStateDir.
	StateDir string

	Observer Observer `json:"-"`

	shared *crypto.Keys // read once for the archives of a place; nil for one source
}

// TrailerCheck says when the sha256 trailer of a snapshot file is checked. Of
// what comes through a pipe or out of an archive it is always checked first.
type TrailerCheck int

// The moments.
const (
	TrailerFirst  TrailerCheck = iota // before Open returns
	TrailerBeside                     // meanwhile: what is made of the source must not count before Prove
	TrailerNever                      // not at all: for a glance at the status
)

// Observer is told what a person should hear while the work goes on. Each of
// its functions may be nil, and may be called from several goroutines.
type Observer struct {
	// Progress begins a phase, "reading backup.tar.gz" for example, of total
	// bytes, 0 when that is not known. Phases of one Backup do not overlap.
	Progress func(phase string, total int64) Phase

	Warn func(message string) // something is wrong and did not stop the work
	Note func(message string) // something worth knowing
}

// Phase is one stretch of work.
type Phase interface {
	Add(bytes int64) // so many more were read; called from any goroutine
	Done()           // may be called twice
}

func (o Options) spool() snapshot.Spool {
	where := o.Spool
	if where == "" {
		where = snapshot.Anywhere
	}
	return snapshot.Spool{Where: where, Dir: o.ScratchDir}
}

func (o Options) limits() archive.Limits { return archive.Limits{MaxBytes: o.MaxSize} }

// refuseDirOptions: what is said of a data dir must not be passed over in
// silence where the source is none.
func (o Options) refuseDirOptions() error {
	switch {
	case len(o.PeerDirs) > 0:
		return misusef("--peer-dir goes with the data dir of a member")
	case len(o.WALDirs) > 1:
		return misusef("--src-wal-dir: a snapshot is continued with one log")
	case o.CommittedOnly:
		return misusef("--committed-only goes with the data dir of a member: nothing else has a write-ahead log")
	}
	return nil
}
