package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/host"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

func restoreCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "full recovery of a single master from a backup",
		UsageText: "lifeboat host restore kube-backup.tar.gz --dry-run\n" +
			"lifeboat host restore kube-backup.tar.gz --yes\n" +
			"lifeboat host restore etcd-backup.snapshot --manifest etcd.yaml",
		ArgsUsage: "SRC",
		Description: `The manifests of etcd and kube-apiserver are taken out, so that kubelet stops
them; when the data dir is free, a new one is built inside of it, under the
manifest's own name and URLs, and booted on a copy; it takes the old one's
place in one rename; the manifests go back. The old data is kept. The cluster
has one member then: other masters join as new ones.`,
		Flags: runFlags(env, append(console.SourceFlags(), manifestFlag(),
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the member, if not the manifest's"},
			&cli.StringSliceFlag{Name: "drop-node", Usage: "delete the Node `NAME`, its Lease and its Pods; repeatable"},
			&cli.BoolFlag{Name: "no-boot-check", Usage: "do not boot a real etcd on a copy of the result"})...),
		Action: func(c *cli.Context) error { return onHost(c, env, runRestore) },
	}
}

// opening is all that a run which is gone on with needs to open its source
// again. Secrets are named by file, so none is in it.
type opening struct {
	Path        string   `json:"path"`
	Identities  []string `json:"identities,omitempty"`
	Passphrase  string   `json:"passphraseFile,omitempty"`
	PubKey      string   `json:"pubKey,omitempty"`
	Encryption  string   `json:"encryptionConfig,omitempty"`
	Prefix      string   `json:"etcdPrefix,omitempty"`
	MaxSize     int64    `json:"maxSize,omitempty"`
	RequireHash bool     `json:"requireHash,omitempty"`
	PeerDirs    []string `json:"peerDirs,omitempty"`
	AcceptLoss  bool     `json:"acceptLoss,omitempty"`
	Committed   bool     `json:"committedOnly,omitempty"`
	Name        string   `json:"name,omitempty"`
	Manifest    string   `json:"manifest,omitempty"`
	DropNodes   []string `json:"dropNodes,omitempty"`
	NoBoot      bool     `json:"noBootCheck,omitempty"`
}

func (s *session) opening(path string) (opening, error) {
	o, err := console.SourceOptionsOf(s.c)
	if err != nil {
		return opening{}, err
	}
	op := opening{
		Path: path, Identities: o.Identities, Passphrase: o.PassphraseFile, PubKey: o.PubKey, Encryption: o.EncryptionConfig,
		Prefix: o.EtcdPrefix, MaxSize: o.MaxSize, RequireHash: o.RequireHash, PeerDirs: o.PeerDirs, AcceptLoss: o.AcceptLoss, Committed: o.CommittedOnly,
		Name: s.c.String("name"), Manifest: s.c.String("manifest"), DropNodes: s.c.StringSlice("drop-node"), NoBoot: s.c.Bool("no-boot-check"),
	}
	for _, name := range []*string{&op.Path, &op.Passphrase, &op.PubKey, &op.Encryption, &op.Manifest} {
		if err := absolute(name); err != nil {
			return op, err
		}
	}
	for _, list := range [][]string{op.Identities, op.PeerDirs} {
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
		return lifeboat.Open(ctx, o.Path, lifeboat.Options{
			Identities: o.Identities, PassphraseFile: o.Passphrase, PubKey: o.PubKey, EncryptionConfig: o.Encryption, EtcdPrefix: o.Prefix,
			MaxSize: o.MaxSize, RequireHash: o.RequireHash, PeerDirs: o.PeerDirs, AcceptLoss: o.AcceptLoss, CommittedOnly: o.Committed,
			Observer: lifeboat.Observer{
				Progress: func(phase string, total int64) lifeboat.Phase { return env.Progress.Start(phase, total) },
				Warn:     func(m string) { env.Warn("%s", m) },
				Note:     func(m string) { env.Note("%s", m) },
			},
		})
	}
}

// works are what the run's steps need besides the host.
func (o opening) works(env *console.Environment, state *host.State) map[string]host.Work {
	return state.RestoreWorks(host.RestoreOptions{Name: o.Name, DropNodes: o.DropNodes, NoBootCheck: o.NoBoot}, o.open(env))
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
	state, err := s.look()
	if err != nil {
		return err
	}
	plan, err := state.PlanRestore(time.Now(), op.Path, host.RestoreOptions{Name: op.Name})
	if err != nil {
		return err
	}
	// SRC is read to its end before anything is stopped.
	b, err := op.open(s.env)(s.c.Context)
	if err != nil {
		return err
	}
	_, err = b.KeysOfNodes(s.c.Context, op.DropNodes, false)
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	if err := op.keep(plan); err != nil {
		return err
	}
	return s.carryOut(plan, op.works(s.env, state))
}
