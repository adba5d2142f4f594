package archives

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func archiveCreateCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "create",
		Usage: "a kube-backup archive out of a snapshot and /etc/kubernetes",
		UsageText: "lifeboat archive create --snapshot etcd.db --kubernetes /etc/kubernetes \\\n" +
			"  -R recipients.txt --to kube-backup.tar.gz.age\n" +
			"lifeboat archive create --snapshot /var/lib/etcd -r age1... \\\n" +
			"  --kubernetes /etc/kubernetes --sign backup.key \\\n" +
			"  --to '/mnt/backups/{cluster}-{time}.tar.gz.age' --latest",
		Description: `The snapshot is checked first: its sha256 sum, its pages, its history. From a
data dir (etcd stopped) it is the database with its log replayed. One that
comes through a pipe has to carry its sum: nothing else tells that it was cut.
{time} is the snapshot's own, by the Leases in it. The archive
is written as FILE.lifeboat.part, 0600, synced, read back and only then named;
age, tar and gzip open it without lifeboat (RECOVERY.txt, its first entry).

Links are packed as links. Where one leads to what is not packed, and without
manifests or pki in DIR, the archive is made and the exit code is 3.

` + provenanceText,
		Flags: append(append(append([]cli.Flag{
			&cli.StringFlag{Name: "snapshot", Usage: "the etcd snapshot `FILE`, the data dir of a stopped member, or - for a snapshot from a pipe"},
			&cli.StringFlag{Name: "kubernetes", Usage: "the folder to pack as kubernetes/: `DIR` is /etc/kubernetes as a rule"},
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write, {cluster}, {time} and {revision} filled in; - for standard output"},
			&cli.BoolFlag{Name: "latest", Usage: "make the link latest.tar.gz.age beside it, or what its ending is"},
		}, recipientFlags()...), compressionFlags()...),
			&cli.StringFlag{Name: "passphrase-file", Usage: "encrypt with the passphrase in the first line of `FILE`"},
			&cli.StringFlag{Name: "sign", Usage: "sign with the minisign secret key in `FILE`"},
			&cli.StringFlag{Name: "sign-passphrase-file", Usage: "`FILE` with the passphrase of the signing key"},
			&cli.StringFlag{Name: "previous", Usage: "the archive `FILE` made before this one; its digest is noted"},
			&cli.StringFlag{Name: "node", Usage: "`NAME` of this node (default: the host name)"},
			&cli.StringFlag{Name: "spool", Value: string(snapshot.Anywhere), Usage: "`WHERE` a data dir's copy goes: auto, mem or disk"},
			&cli.BoolFlag{Name: "no-verify", Usage: "do not read the archive back"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runCreate(c, env) },
	}
}

// creation is one call of archive create.
type creation struct {
	env      *console.Environment
	what     lifeboat.PackOptions
	spool    snapshot.Where
	to       string
	latest   bool
	signer   *crypto.Signer
	readBack bool
}

func runCreate(c *cli.Context, env *console.Environment) error {
	x, err := creationOf(c, env)
	if err != nil {
		return err
	}
	packing, err := lifeboat.Pack(c.Context, x.what, lifeboat.Options{Stdin: env.Stdin, Spool: x.spool, Observer: env.Observer()})
	if err != nil {
		return err
	}
	defer packing.Close()
	if err := x.nameTarget(packing); err != nil {
		return err
	}
	done, err := x.pack(c.Context, packing)
	if err != nil {
		return err
	}
	if x.latest {
		if done.Latest, err = place.PointLatest(x.to); err != nil {
			return fmt.Errorf("%q is whole, and latest does not point at it: %w", x.to, err)
		}
	}
	return x.tell(packing, done)
}

// nameTarget fills in the target's name, once the snapshot tells what it is of.
func (x *creation) nameTarget(packing *lifeboat.Packing) error {
	if !strings.Contains(x.to, "{") {
		return nil
	}
	name, err := packing.Name(filepath.Base(x.to))
	if err != nil {
		return err
	}
	x.to = filepath.Join(filepath.Dir(x.to), name)
	return console.RefuseExisting(x.to, x.to+lifeboat.SignatureSuffix)
}

func creationOf(c *cli.Context, env *console.Environment) (*creation, error) {
	x := &creation{env: env, to: c.String("to"), latest: c.Bool("latest"), readBack: !c.Bool("no-verify"), what: lifeboat.PackOptions{
		Snapshot: c.String("snapshot"), Kubernetes: c.String("kubernetes"), Previous: c.String("previous"), Node: c.String("node"),
	}}
	var err error
	switch {
	case c.NArg() > 0:
		return nil, console.Usagef("unexpected argument %q", c.Args().First())
	case x.what.Snapshot == "":
		return nil, console.Usagef("say which snapshot to pack: --snapshot FILE, --snapshot DATA-DIR, or --snapshot - for a pipe")
	case strings.Contains(x.to, "://"):
		return nil, console.WithHint(console.Usagef("--to takes a file of this host"), "lifeboat archive push sends it to a bucket, and goes on where it was cut off")
	case x.latest && x.to == "-":
		return nil, console.Usagef("--latest needs a file to point at: --to FILE")
	case x.to == "":
		return nil, console.Usagef("say where to write to: --to FILE, or --to - for standard output")
	}
	if x.spool, err = console.SpoolOf(c); err != nil {
		return nil, err
	}
	if x.to == "-" && c.String("sign") != "" {
		return nil, console.Usagef("--sign needs a file to put the signature beside: --to FILE")
	}
	if x.what.Compression, err = compressionOf(c); err != nil {
		return nil, err
	}
	if x.what.Epoch, err = sourceDateEpoch(); err != nil {
		return nil, err
	}
	if x.to != "-" {
		if err := console.RefuseExisting(x.to, x.to+lifeboat.SignatureSuffix); err != nil {
			return nil, err
		}
	}
	if err := x.readKeys(c); err != nil {
		return nil, err
	}
	if x.what.Node == "" {
		if x.what.Node, err = os.Hostname(); err != nil {
			x.what.Node = ""
		}
	}
	return x, nil
}

// readKeys reads whom to encrypt to, and what to sign with.
func (x *creation) readKeys(c *cli.Context) (err error) {
	if x.what.Recipients, err = recipientList(x.env, c, c.String("passphrase-file")); err != nil {
		return err
	}
	if len(x.what.Recipients) > 0 { // before the work, not after it
		if _, err := crypto.NewWriter(io.Discard, false, x.what.Recipients...); err != nil {
			return err
		}
	}
	x.signer, err = signerOf(c, x.env)
	return err
}

// signerOf reads --sign, nil where nobody signs.
func signerOf(c *cli.Context, env *console.Environment) (*crypto.Signer, error) {
	path := c.String("sign")
	if path == "" {
		return nil, nil
	}
	signer, warnings, err := crypto.ReadSigner(path, console.PassphraseIn(env, c.String("sign-passphrase-file")))
	for _, warning := range warnings {
		env.Warn("%s", warning)
	}
	return signer, err
}
