package archives

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
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
			&cli.StringFlag{Name: "spool", Value: string(console.SpoolAuto), Usage: "`WHERE` a data dir's copy goes: auto, mem or disk"},
			&cli.BoolFlag{Name: "no-verify", Usage: "do not read the archive back"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON),
		),
		Action: func(c *cli.Context) error { return runCreate(c, env) },
	}
}

// creation is one call of archive create.
type creation struct {
	env         *console.Environment
	opts        console.SourceOptions
	snapshot    string
	kubernetes  string
	to          string
	previous    string
	recipients  []crypto.Recipient
	signer      *crypto.Signer
	compression archive.Compression
	epoch       time.Time
	readBack    bool

	src      *console.Source
	folder   *os.Root // of kubernetes; nil without it
	items    []archive.Item
	skipped  []archive.Skipped
	missing  []string // parts of kubernetes that every control plane has
	manifest archive.Manifest
}

func runCreate(c *cli.Context, env *console.Environment) error {
	x, err := creationOf(c, env)
	if err != nil {
		return err
	}
	defer x.close()
	if err := x.survey(c.Context); err != nil {
		return err
	}
	done, err := x.pack(c.Context)
	if err != nil {
		return err
	}
	return x.tell(done)
}

func creationOf(c *cli.Context, env *console.Environment) (*creation, error) {
	x := &creation{
		env: env, snapshot: c.String("snapshot"), kubernetes: c.String("kubernetes"), to: c.String("to"), previous: c.String("previous"),
		readBack: !c.Bool("no-verify"), opts: console.SourceOptions{Spool: console.SpoolMode(c.String("spool"))},
	}
	x.manifest.Node = c.String("node")
	var err error
	switch {
	case c.NArg() > 0:
		return nil, console.Usagef("unexpected argument %q", c.Args().First())
	case x.snapshot == "" || x.snapshot == "-":
		return nil, console.Usagef("say which snapshot to pack: --snapshot FILE, or --snapshot DATA-DIR")
	case x.to == "":
		return nil, console.Usagef("say where to write to: --to FILE, or --to - for standard output")
	case !slices.Contains([]console.SpoolMode{console.SpoolAuto, console.SpoolMem, console.SpoolDisk}, x.opts.Spool):
		return nil, console.Usagef("unknown --spool %q: it is auto, mem or disk", x.opts.Spool)
	case x.to == "-" && c.String("sign") != "":
		return nil, console.Usagef("--sign needs a file to put the signature beside: --to FILE")
	}
	if x.compression, err = compressionOf(c); err != nil {
		return nil, err
	}
	if x.epoch, err = sourceDateEpoch(); err != nil {
		return nil, err
	}
	if x.to != "-" {
		if err := console.RefuseExisting(x.to, x.to+console.SignatureSuffix); err != nil {
			return nil, err
		}
	}
	if x.recipients, err = recipientList(env, c, c.String("passphrase-file")); err != nil {
		return nil, err
	}
	if len(x.recipients) > 0 { // before the work, not after it
		if _, err := crypto.NewWriter(io.Discard, false, x.recipients...); err != nil {
			return nil, err
		}
	}
	if path := c.String("sign"); path != "" {
		var warnings []string
		if x.signer, warnings, err = crypto.ReadSigner(path, console.PassphraseIn(env, c.String("sign-passphrase-file"))); err != nil {
			return nil, err
		}
		for _, warning := range warnings {
			env.Warn("%s", warning)
		}
	}
	if x.manifest.Node == "" {
		if x.manifest.Node, err = os.Hostname(); err != nil {
			x.manifest.Node = ""
		}
	}
	return x, nil
}

func (x *creation) close() {
	if x.src != nil {
		x.src.Close()
	}
	if x.folder != nil {
		x.folder.Close()
	}
}

// survey is the first pass: everything is read and judged, nothing written.
func (x *creation) survey(ctx context.Context) (err error) {
	if x.src, err = console.OpenSource(ctx, x.env, x.opts, x.snapshot); err != nil {
		return err
	}
	if x.src.Kind == console.KindArchive {
		return console.WithHint(console.Usagef("%q is an archive already, --snapshot takes the snapshot alone", x.snapshot), "encrypt an archive as it is: lifeboat archive encrypt")
	}
	if err := x.addSnapshot(ctx); err != nil {
		return err
	}
	if x.kubernetes == "" {
		x.env.Warn("without --kubernetes the archive holds no CA and no encryption keys: a lost control plane cannot be made again from it")
	} else if err := x.addFolder(ctx); err != nil {
		return err
	}
	if x.previous != "" {
		if x.manifest.Previous, err = digestOf(ctx, x.previous); err != nil {
			return err
		}
	}
	return x.describe(ctx)
}

// addSnapshot makes the database an item, with the trailer that `etcdctl
// snapshot save` writes: its own, or a computed one for a data dir. A bare
// database file stays without, because nothing vouches for it.
func (x *creation) addSnapshot(ctx context.Context) error {
	status, err := x.src.Db.Status()
	if err != nil {
		return err
	}
	size, at := status.FileSize, x.src.ModTime
	var trailer []byte
	if x.src.Kind == console.KindDataDir {
		size = status.Size
		if info, err := os.Stat(x.src.Replay.Survivor.Dir.Database()); err == nil {
			at = info.ModTime()
		}
	}
	section := func() io.Reader { return io.NewSectionReader(x.src.File, 0, size) }
	sum := x.src.Sum
	if x.src.Kind != console.KindSnapshot { // whose sum was just compared
		phase := x.env.Progress.Start("reading the snapshot", size)
		defer phase.Done()
		hash, err := snapshot.HashTrailer(ctx, phase.Reader(section()))
		if err != nil {
			return fmt.Errorf("reading the snapshot: %w", err)
		}
		if hash.Size() != size {
			return fmt.Errorf("reading the snapshot: %w", archive.ErrChanged)
		}
		sum = hash.Sum()
		if x.src.Kind == console.KindDataDir {
			trailer = bytes.Clone(sum[:])
			_, _ = hash.Write(trailer) // it never fails
			sum = hash.Sum()
		}
	}
	x.items = append(x.items, archive.Item{
		Name: archive.SnapshotName, Mode: 0o600, ModTime: at, Size: size + int64(len(trailer)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(section(), bytes.NewReader(trailer))), nil
		},
	})
	x.manifest.Time = at
	if !x.epoch.IsZero() {
		x.manifest.Time = x.epoch
	}
	x.manifest.Etcd = archive.EtcdManifest{
		Revision: status.Revision, CompactRevision: status.CompactRevision, Version: status.ClusterVersion, StorageVersion: status.StorageVersion,
		Trailer: trailer != nil || x.src.Trailer == snapshot.TrailerGood,
	}
	return nil
}

// addFolder takes in the kubernetes/ half.
func (x *creation) addFolder(ctx context.Context) (err error) {
	phase := x.env.Progress.Start("reading "+x.kubernetes, 0)
	defer phase.Done()
	if x.folder, err = os.OpenRoot(x.kubernetes); err != nil {
		return fmt.Errorf("opening %q: %w", x.kubernetes, console.PlainCause(err))
	}
	items, skipped, err := archive.Collect(ctx, x.folder, archive.FilesFolder, archive.Limits{})
	if err != nil {
		return err
	}
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
			return err
		}
		if err := errors.Join(control.Add(item.Name, r), r.Close()); err != nil {
			return err
		}
	}
	x.items, x.skipped = append(x.items, items...), skipped
	for _, s := range skipped {
		x.env.Warn("%q %s", s.Name, s.Reason)
	}
	view := control.View()
	x.src.Control = view
	for _, part := range []string{"manifests", "pki"} {
		if _, err := view.Open(archive.FilesFolder + "/" + part); err != nil {
			x.env.Warn("there is no %s in %q: is it the /etc/kubernetes of a control plane?", part, x.kubernetes)
			x.missing = append(x.missing, part)
		}
	}
	return nil
}
