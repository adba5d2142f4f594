// Package archives holds the verbs of `lifeboat archive`: archives made, read,
// verified, unpacked, encrypted and given other keys.
package archives

import (
	"os"
	"strconv"
	"time"

	"filippo.io/age/plugin"
	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
)

// ArchiveCommand is the family of verbs about archives that leave the host.
func ArchiveCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "archive",
		Usage: "archives that can leave the building: make, verify, unpack, re-key",
		UsageText: "lifeboat archive create --snapshot etcd.db --kubernetes /etc/kubernetes \\\n" +
			"  -R recipients.txt --sign backup.key --to kube-backup.tar.gz.age\n" +
			"lifeboat archive verify backup.tar.gz.age -i recovery.key --pubkey backup.pub",
		Description: provenanceText,
		Subcommands: []*cli.Command{
			archiveCreateCommand(env),
			archiveVerifyCommand(env),
			archiveListCommand(env),
			archiveUnpackCommand(env),
			archiveEncryptCommand(env),
			archiveDecryptCommand(env),
			archiveRekeyCommand(env),
			archiveCatalogCommand(env),
			archivePruneCommand(env),
			archiveLedgerCommand(env),
			archivePushCommand(env),
			archivePullCommand(env),
		},
	}
}

// provenanceText is what age's users are most often wrong about.
const provenanceText = `Encryption by itself proves nothing about who made an archive: anybody who
knows a recipient can encrypt to it, and every recipient can put another
content under the same header. A signature beside it does (FILE.minisig, in
minisign's format): archive create --sign makes it, or minisign -Sm FILE of a
file that is there; --pubkey wherever SRC stands refuses an archive without a
good one before a byte of it is parsed.`

// recipientFlags say whom to encrypt to.
func recipientFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "recipient", Aliases: []string{"r"}, Usage: "encrypt to `RECIPIENT`: age1..., age1pq1..., ssh-ed25519 or ssh-rsa; repeatable"},
		&cli.StringSliceFlag{Name: "recipients", Aliases: []string{"R"}, Usage: "encrypt to all recipients in `FILE`, one a line; repeatable"},
		console.PluginsFlag(),
	}
}

// recipientList reads recipientFlags, and --passphrase-file where that is
// what to encrypt with.
func recipientList(env *console.Environment, c *cli.Context, passphraseFile string) ([]crypto.Recipient, error) {
	list, err := recipientsIn(env, c.StringSlice("recipient"), c.StringSlice("recipients"), env.Plugins(c.Bool("plugins"), c.Args().First() == "-"))
	if err != nil || passphraseFile == "" {
		return list, err
	}
	if len(list) > 0 {
		return nil, console.Usagef("a passphrase has to be the only key: leave -r and -R out, or --passphrase-file")
	}
	passphrase, err := console.PassphraseIn(env, passphraseFile)()
	if err != nil {
		return nil, err
	}
	r, err := crypto.NewPassphrase(passphrase)
	return []crypto.Recipient{r}, err
}

func recipientsIn(env *console.Environment, texts, files []string, plugins *plugin.ClientUI) ([]crypto.Recipient, error) {
	var list []crypto.Recipient
	for _, text := range texts {
		r, err := crypto.ParseRecipient(text, plugins)
		if err != nil {
			return nil, console.UsageError(console.HintPlugins(err))
		}
		list = append(list, r)
	}
	for _, path := range files {
		found, warnings, err := crypto.ReadRecipients(path, plugins)
		if err != nil {
			return nil, console.UsageError(console.HintPlugins(err))
		}
		for _, warning := range warnings {
			env.Warn("%s", warning)
		}
		list = append(list, found...)
	}
	return list, nil
}

func fingerprints(list []crypto.Recipient) []string {
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Fingerprint()
	}
	return names
}

// compressionFlags say how a tar is packed.
func compressionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "compress", Value: "gzip", Usage: "`HOW` to compress: gzip (every host opens it), zstd or none"},
		&cli.IntFlag{Name: "level", Usage: "`LEVEL` of gzip 1 to 9, of zstd 1 to 4; 0 is the default"},
	}
}

func compressionOf(c *cli.Context) (archive.Compression, error) {
	formats := map[string]archive.Format{"gzip": archive.Gzip, "zstd": archive.Zstd, "none": archive.Tar}
	format, ok := formats[c.String("compress")]
	if !ok {
		return archive.Compression{}, console.OneOf("compression", c.String("compress"), []string{"gzip", "zstd", "none"})
	}
	level, most := c.Int("level"), 9
	if format == archive.Zstd {
		most = 4
	}
	if level < 0 || level > most {
		return archive.Compression{}, console.Usagef("--level %d: %s has levels 1 to %d", level, c.String("compress"), most)
	}
	return archive.Compression{Format: format, Level: level}, nil
}

// sourceDateEpoch is the time that reproducible-builds.org lets a build take
// for now; zero when it is not set.
func sourceDateEpoch() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 { // the end of the year 9999
		return time.Time{}, console.Usagef("SOURCE_DATE_EPOCH=%q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
