package archives

import (
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
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
			"  --kubernetes /etc/kubernetes --sign backup.key --to backup.tar.gz.age",
		Description: `The snapshot is checked first: its sha256 sum, its pages, its history. From a
data dir (etcd stopped) it is the database with its log replayed. The archive
is written as FILE.lifeboat.part, 0600, synced, read back and only then named;
age, tar and gzip open it without lifeboat (RECOVERY.txt, its first entry).

Links are packed as links. Where one leads to what is not packed, and without
manifests or pki in DIR, the archive is made and the exit code is 3.

` + provenanceText,
		Flags: append(append(append([]cli.Flag{
			&cli.StringFlag{Name: "snapshot", Usage: "the etcd snapshot `FILE`, or the data dir of a stopped member"},
			&cli.StringFlag{Name: "kubernetes", Usage: "the folder to pack as kubernetes/: `DIR` is /etc/kubernetes as a rule"},
			&cli.StringFlag{Name: "to", Usage: "the new `FILE` to write, - for standard output"},
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
	signer   *crypto.Signer
	readBack bool
}

func runCreate(c *cli.Context, env *console.Environment) error {
	x, err := creationOf(c, env)
	if err != nil {
		return err
	}
	packing, err := lifeboat.Pack(c.Context, x.what, lifeboat.Options{Spool: x.spool, Observer: env.Observer()})
	if err != nil {
		return err
	}
	defer packing.Close()
	done, err := x.pack(c.Context, packing)
	if err != nil {
		return err
	}
	return x.tell(packing, done)
}

func creationOf(c *cli.Context, env *console.Environment) (*creation, error) {
	x := &creation{env: env, to: c.String("to"), readBack: !c.Bool("no-verify"), what: lifeboat.PackOptions{
		Snapshot: c.String("snapshot"), Kubernetes: c.String("kubernetes"), Previous: c.String("previous"), Node: c.String("node"),
	}}
	var err error
	switch {
	case c.NArg() > 0:
		return nil, console.Usagef("unexpected argument %q", c.Args().First())
	case x.what.Snapshot == "" || x.what.Snapshot == "-":
		return nil, console.Usagef("say which snapshot to pack: --snapshot FILE, or --snapshot DATA-DIR")
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
	if path := c.String("sign"); path != "" {
		var warnings []string
		if x.signer, warnings, err = crypto.ReadSigner(path, console.PassphraseIn(x.env, c.String("sign-passphrase-file"))); err != nil {
			return err
		}
		for _, warning := range warnings {
			x.env.Warn("%s", warning)
		}
	}
	return nil
}
