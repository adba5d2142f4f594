package console

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/internal/progress"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// defaultMaxSize bounds what SRC may unpack to. etcd warns above 8 GiB, so a
// larger archive is a mistake or a bomb.
const defaultMaxSize = "64GiB"

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
		&cli.StringFlag{Name: "spool", Value: string(snapshot.Anywhere), Usage: "`WHERE` the database is unpacked: auto, mem or disk"},
		&cli.BoolFlag{Name: "require-hash", Usage: "refuse a database without etcd's sha256 trailer"},
		&cli.StringSliceFlag{Name: "peer-dir", Usage: "data `DIR` of another member, where SRC is one; repeatable"},
		&cli.StringSliceFlag{Name: "src-wal-dir", Usage: "`DIR` with SRC's log, where etcd ran with --wal-dir; repeated, those of the peers in their order. A snapshot is continued with a member's log: to any revision in it"},
		&cli.BoolFlag{Name: "committed-only", Usage: "of a data dir, cut the log where etcd's --force-new-cluster does: acknowledged writes may be lost"},
		&cli.BoolFlag{Name: "accept-loss", Usage: "of a data dir, go on where its log is damaged"},
		&cli.StringFlag{Name: "snapshot-name", Usage: "the entry that is the snapshot, where an archive holds several databases"},
		&cli.StringFlag{Name: "max-size", Value: defaultMaxSize, Usage: "refuse to unpack more than `SIZE`"},
	}
}

// SourceOptionsOf reads sourceFlags.
func SourceOptionsOf(c *cli.Context) (SourceOptions, error) {
	o := SourceOptions{Plugins: c.Bool("plugins"), Options: lifeboat.Options{
		Identities:       c.StringSlice("identity"),
		PassphraseFile:   c.String("passphrase-file"),
		PubKey:           c.String("pubkey"),
		EncryptionConfig: c.String("encryption-config"),
		EtcdPrefix:       c.String("etcd-prefix"),
		RequireHash:      c.Bool("require-hash"),
		PeerDirs:         c.StringSlice("peer-dir"),
		WALDirs:          c.StringSlice("src-wal-dir"),
		CommittedOnly:    c.Bool("committed-only"),
		AcceptLoss:       c.Bool("accept-loss"),
		SnapshotName:     c.String("snapshot-name"),
	}}
	var err error
	if o.Spool, err = SpoolOf(c); err != nil {
		return o, err
	}
	if o.EtcdPrefix != "" && !strings.HasPrefix(o.EtcdPrefix, "/") {
		return o, Usagef("--etcd-prefix %q does not start with a slash", o.EtcdPrefix)
	}
	o.MaxSize, err = maxSizeOf(c)
	return o, err
}

// SpoolOf reads --spool.
func SpoolOf(c *cli.Context) (snapshot.Where, error) {
	where := snapshot.Where(c.String("spool"))
	if !slices.Contains([]snapshot.Where{snapshot.Anywhere, snapshot.Memory, snapshot.Disk}, where) {
		return where, Usagef("unknown --spool %q: it is auto, mem or disk", where)
	}
	return where, nil
}

// KeyFlags stand where a file is decrypted or an archive read, and no database
// is opened.
func KeyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "`FILE` with an age or ssh private key; repeatable"},
		&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` with the passphrase of SRC or of an identity"},
		PluginsFlag(),
		&cli.StringFlag{Name: "pubkey", Usage: "minisign public key `FILE`: refuse SRC unless SRC.minisig is good"},
		&cli.StringFlag{Name: "max-size", Value: defaultMaxSize, Usage: "refuse to unpack more than `SIZE`"},
	}
}

// KeyOptionsOf reads KeyFlags.
func KeyOptionsOf(c *cli.Context) (SourceOptions, error) {
	o := SourceOptions{Plugins: c.Bool("plugins"), Options: lifeboat.Options{
		Identities: c.StringSlice("identity"), PassphraseFile: c.String("passphrase-file"), PubKey: c.String("pubkey"),
	}}
	var err error
	o.MaxSize, err = maxSizeOf(c)
	return o, err
}

func maxSizeOf(c *cli.Context) (int64, error) {
	size, err := parseSize(c.String("max-size"))
	if err != nil {
		return 0, Usagef("reading --max-size: %w", err)
	}
	return size, nil
}

// parseSize reads 512MiB, 64GB, 64Gi or a number of bytes.
func parseSize(text string) (int64, error) {
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > math.MaxInt64 {
		return 0, Usagef("%q is not a size; write 64GiB or 500MB", text)
	}
	return int64(size), nil
}

// NamesOf reads a repeatable flag of names, which may also be joined by commas:
// no name of Kubernetes has one.
func NamesOf(c *cli.Context, flag string) []string {
	var names []string
	for _, value := range c.StringSlice(flag) {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// ProgressFlag chooses what progress looks like.
func ProgressFlag(env *Environment) cli.Flag {
	return &choiceFlag{values: progress.Modes(), StringFlag: &cli.StringFlag{
		Name: "progress", Value: "auto", Usage: "`HOW` progress is told on stderr: auto, json or off",
		Action: func(_ *cli.Context, mode string) error {
			if err := env.Progress.SetMode(mode); err != nil {
				return UsageError(err)
			}
			return nil
		},
	}}
}

// Seconds is the value of a flag of whole seconds; 0 where it is not given.
func Seconds(c *cli.Context, name string) time.Duration {
	if !c.IsSet(name) {
		return 0
	}
	return time.Duration(c.Int(name)) * time.Second
}
