package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func restoreCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "full recovery of a single master from a backup",
		UsageText: "lifeboat host restore kube-backup.tar.gz --dry-run\n" +
			"lifeboat host restore kube-backup.tar.gz --yes\n" +
			"lifeboat host restore kube-backup.tar.gz --at '20:50' --dry-run\n" +
			"lifeboat host restore kube-backup.tar.gz --with-kubernetes --dry-run\n" +
			"lifeboat host restore kube-backup.tar.gz --members all --to masters/\n" +
			"lifeboat host restore etcd-backup.snapshot --manifest etcd.yaml",
		ArgsUsage: "SRC",
		Description: `The manifests of etcd and kube-apiserver are taken out, so that kubelet stops
them; when the data dir is free, a new one is built inside of it, under the
manifest's own name and URLs, and booted on a copy; it takes the old one's
place in one rename; the manifests go back. The old data is kept. The cluster
has one member then: other masters join as new ones.

--at and --rev restore to a point in time. --with-kubernetes is for a bare
host: /etc/kubernetes comes out of the archive, too, with owners and modes, and
last, since kubelet starts what is in it. --members all changes nothing here:
it makes a folder for each master, with its data dir and a script for its host.`,
		Flags: runFlags(env, append(console.SourceFlags(), manifestFlag(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			&cli.StringFlag{Name: "at", Usage: "as of a `TIME`: 2026-11-21T20:50:00Z, \"2026-11-21 20:50\", 20:50, \"10m ago\""},
			&cli.BoolFlag{Name: "with-kubernetes", Usage: "put back /etc/kubernetes as well, on a host that has none"},
			&cli.StringFlag{Name: "members", Usage: "all: a folder for every master, at --to, in place of a restore of this host"},
			&cli.StringFlag{Name: "to", Usage: "the new `FOLDER`, with --members all"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member, if not the manifest's"},
			&cli.StringSliceFlag{Name: "drop-node", Usage: "delete the Node `NAME`, its Lease and its Pods; repeatable"},
			&cli.BoolFlag{Name: "no-boot-check", Usage: "do not boot a real etcd on a copy of the result"})...),
		Action: func(c *cli.Context) error { return onHost(c, env, runRestore) },
	}
}

// opening is all that a run which is gone on with needs to open its source
// again. Secrets are named by file, so none is in it.
type opening struct {
	Path    string                `json:"path"`
	Source  console.SourceOptions `json:"source"`
	Restore host.RestoreOptions   `json:"restore"`

	Manifest string `json:"manifest,omitempty"`
	Etcd     []byte `json:"etcdManifest,omitempty"` // of the archive, with Restore.Kubernetes
	Told     bool   `json:"told,omitempty"`         // what comes when the control plane wakes up
}

func (s *session) opening(path string) (op opening, err error) {
	op = opening{Path: path, Manifest: s.c.String("manifest"), Restore: host.RestoreOptions{
		Name: s.c.String("name"), DropNodes: s.c.StringSlice("drop-node"),
		Kubernetes: s.c.Bool("with-kubernetes"), NoBootCheck: s.c.Bool("no-boot-check"),
	}}
	if op.Source, err = console.SourceOptionsOf(s.c); err != nil {
		return op, err
	}
	o := &op.Source
	for _, name := range []*string{&op.Path, &op.Manifest, &o.PassphraseFile, &o.PubKey, &o.EncryptionConfig} {
		if err := absolute(name); err != nil {
			return op, err
		}
	}
	for _, list := range [][]string{o.Identities, o.PeerDirs, o.WALDirs} {
		for i := range list {
			if err := absolute(&list[i]); err != nil {
				return op, err
			}
		}
	}
	return op, nil
}

// absolute makes a name fit for a process that starts in another folder.
func absolute(name *string) (err error) {
	if *name != "" && *name != "-" {
		*name, err = filepath.Abs(*name)
	}
	return err
}

func (o opening) open(env *console.Environment) func(ctx context.Context) (*lifeboat.Backup, error) {
	return func(ctx context.Context) (*lifeboat.Backup, error) {
		return console.OpenSource(ctx, env, o.Source, o.Path)
	}
}

// openAwake opens what a control plane is about to wake up with, and says what
// comes then.
func (o opening) openAwake(env *console.Environment) func(ctx context.Context) (*lifeboat.Backup, error) {
	return func(ctx context.Context) (*lifeboat.Backup, error) {
		b, err := o.open(env)(ctx)
		if err == nil {
			sayAwakening(ctx, env, b, o.Restore.Revision)
		}
		return b, err
	}
}

// sayAwakening says it of a revision; of objects that cannot be read, nothing.
func sayAwakening(ctx context.Context, env *console.Environment, b *lifeboat.Backup, rev int64) {
	if a, err := b.Awakening(ctx, rev); err == nil && a.String() != "" {
		env.Note("%s", a)
	}
}

// works are what the run's steps need besides the host.
func (o opening) works(env *console.Environment, state *host.State) map[string]host.Work {
	open := o.openAwake
	if o.Told {
		open = o.open
	}
	works := state.RestoreWorks(o.Restore, open(env))
	works[host.WorkFiles] = host.UnpackFiles(o.Path, o.Source.For(env, o.Path))
	return works
}

// look says where etcd's manifest is found.
func (o opening) look() host.LookOptions {
	look := host.LookOptions{Manifest: o.Manifest, ReadFile: os.ReadFile}
	if o.Manifest == "" && o.Etcd != nil {
		look.Manifest, look.Data = "etcd.yaml of "+o.Path, o.Etcd
	}
	return look
}

// keep puts the opening into the plan, for host resume.
func (o opening) keep(plan *host.Plan) error {
	data, err := json.Marshal(o)
	plan.Args = []string{string(data)}
	return err
}

func openingOf(plan *host.Plan) (o opening, err error) {
	if len(plan.Args) != 1 {
		return o, fmt.Errorf("run %s does not say which source it read", plan.ID)
	}
	return o, json.Unmarshal([]byte(plan.Args[0]), &o)
}

func runRestore(s *session) error {
	path, err := console.OneArgument(s.c, "SRC")
	if err != nil {
		return err
	}
	op, err := s.opening(path)
	if err != nil {
		return err
	}
	if s.c.IsSet("members") || s.c.IsSet("to") {
		return s.restoreAll(op)
	}
	if path == "-" {
		return coded(host.ErrPipe, s.root.Command)
	}
	// SRC is read to its end before anything is stopped.
	if err := s.read(&op); err != nil {
		return err
	}
	state, err := s.lookWith(op.look())
	if err != nil {
		return err
	}
	plan, err := state.PlanRestore(time.Now(), op.Path, op.Restore)
	if err != nil {
		return err
	}
	if err := op.keep(plan); err != nil {
		return err
	}
	return s.carryOut(plan, op.works(s.env, state))
}

// read opens SRC once, and takes out of it what the plan hangs on: the revision
// that --at means, and for a bare host etcd's manifest.
func (s *session) read(op *opening) (err error) {
	b, rev, err := s.openAt(*op)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	op.Told = true
	if err := op.Restore.Of(b, rev); err != nil {
		return err
	}
	if op.Restore.Kubernetes {
		if b.ControlPlane() == nil {
			return console.Failf("--with-kubernetes: there is no %s/ in %q", archive.FilesFolder, op.Path)
		}
		if _, data, ok := b.ControlPlane().Manifest(controlplane.Etcd); ok {
			op.Etcd = data
		}
	}
	_, err = b.KeysOfNodes(s.c.Context, op.Restore.DropNodes, false)
	return err
}
