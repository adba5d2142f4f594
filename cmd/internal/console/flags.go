package console

import (
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
)

// defaultMaxSize bounds what SRC may unpack to. etcd warns above 8 GiB, so a
// larger archive is a mistake or a bomb.
const defaultMaxSize = "64GiB"

// SpoolMode says where plaintext stands that has to be read out of order.
type SpoolMode string

const (
	SpoolAuto SpoolMode = "auto" // in memory while it fits a quarter of what is free
	SpoolMem  SpoolMode = "mem"
	SpoolDisk SpoolMode = "disk"
)

// SourceOptions are the flags of sourceFlags, read.
type SourceOptions struct {
	Identities       []string // files with age or ssh private keys
	PassphraseFile   string
	Plugins          bool   // age plugins may be run
	PubKey           string // file with the minisign key that has to have signed SRC
	EncryptionConfig string
	EtcdPrefix       string // "" means: what the backup's kube-apiserver manifest says, else /registry
	Spool            SpoolMode
	MaxSize          int64 // bytes
	RequireHash      bool  // refuse a snapshot without its sha256 trailer

	// Of a data dir.
	PeerDirs      []string // data dirs of other members of the same cluster
	WALDirs       []string // where the logs stand, if not in the dirs: SRC's, then the peers'
	CommittedOnly bool     // cut the log where a commit is recorded
	AcceptLoss    bool     // go on over a damaged log

	Trailer TrailerCheck // when the sha256 trailer of a snapshot file is checked

	Inventory *archive.Inventory // takes down the archive's content; nil for nothing

	SpoolDir string // where a spool on disk goes; "" is the system's temporary folder
}

// TrailerCheck says when the sha256 trailer of a snapshot is checked, where it
// is no part of reading a stream.
type TrailerCheck int

const (
	TrailerFirst  TrailerCheck = iota // before anything is handed out
	TrailerBeside                     // meanwhile: what is made of SRC must not count before source.prove
	TrailerNot
)

// SourceFlags stand wherever SRC stands. Secrets are named by file, never
// given as a value: values end up in the process list and in the history.
func SourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "`FILE` with an age or ssh private key; repeatable"},
		&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of SRC or of an identity"},
		PluginsFlag(),
		&cli.StringFlag{Name: "pubkey", Usage: "minisign public key `FILE`: refuse SRC unless SRC.minisig is good"},
		&cli.StringFlag{Name: "encryption-config", Usage: "EncryptionConfiguration `FILE`, if the backup's own will not do"},
		&cli.StringFlag{Name: "etcd-prefix", Usage: "kube-apiserver's --etcd-prefix `P`, if the backup does not say"},
		&cli.StringFlag{Name: "spool", Value: string(SpoolAuto), Usage: "`WHERE` the database is unpacked: auto, mem or disk"},
		&cli.BoolFlag{Name: "require-hash", Usage: "refuse a database without etcd's sha256 trailer"},
		&cli.StringSliceFlag{Name: "peer-dir", Usage: "data `DIR` of another member, where SRC is one; repeatable"},
		&cli.StringSliceFlag{Name: "src-wal-dir", Usage: "`DIR` with SRC's log, where etcd ran with --wal-dir; repeated, those of the peers in their order"},
		&cli.BoolFlag{Name: "committed-only", Usage: "of a data dir, cut the log where etcd's --force-new-cluster does: acknowledged writes may be lost"},
		&cli.BoolFlag{Name: "accept-loss", Usage: "of a data dir, go on where its log is damaged"},
		&cli.StringFlag{Name: "max-size", Value: defaultMaxSize, Usage: "refuse to unpack more than `SIZE`"},
	}
}

// SourceOptionsOf reads sourceFlags.
func SourceOptionsOf(c *cli.Context) (SourceOptions, error) {
	o := SourceOptions{
		Identities:       c.StringSlice("identity"),
		PassphraseFile:   c.String("passphrase-file"),
		Plugins:          c.Bool("plugins"),
		PubKey:           c.String("pubkey"),
		EncryptionConfig: c.String("encryption-config"),
		EtcdPrefix:       c.String("etcd-prefix"),
		Spool:            SpoolMode(c.String("spool")),
		RequireHash:      c.Bool("require-hash"),
		PeerDirs:         c.StringSlice("peer-dir"),
		WALDirs:          c.StringSlice("src-wal-dir"),
		CommittedOnly:    c.Bool("committed-only"),
		AcceptLoss:       c.Bool("accept-loss"),
	}
	if !slices.Contains([]SpoolMode{SpoolAuto, SpoolMem, SpoolDisk}, o.Spool) {
		return o, Usagef("unknown --spool %q: it is auto, mem or disk", o.Spool)
	}
	if o.EtcdPrefix != "" && !strings.HasPrefix(o.EtcdPrefix, "/") {
		return o, Usagef("--etcd-prefix %q does not start with a slash", o.EtcdPrefix)
	}
	size, err := parseSize(c.String("max-size"))
	if err != nil {
		return o, Usagef("reading --max-size: %w", err)
	}
	o.MaxSize = size
	return o, nil
}

// parseSize reads 512MiB, 64GB, 64Gi or a number of bytes.
func parseSize(text string) (int64, error) {
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return 0, Usagef("%q is no size; write 64GiB or 500MB", text)
	}
	return int64(size), nil
}
