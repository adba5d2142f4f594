package etcd

import (
	"encoding/hex"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdSaveCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "save",
		Usage: "a snapshot of a stopped member, its write-ahead log included",
		UsageText: "lifeboat etcd save /var/lib/etcd --to etcd-backup.snapshot\n" +
			"lifeboat etcd save /var/lib/etcd --peer-dir /mnt/etcd-1 --to etcd.snapshot",
		ArgsUsage: "SRC",
		Flags: append(console.SourceFlags(),
			&cli.StringFlag{Name: "to", Usage: "the `FILE` to write"},
			&cli.BoolFlag{Name: "replace", Usage: "move what stands at --to aside"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			to := c.String("to")
			if to == "" {
				return console.Usagef("--to is missing: the file to write")
			}
			opts, path, err := writingOptionsOf(c, to)
			if err != nil {
				return err
			}
			src, err := console.OpenSource(c.Context, env, opts, path)
			if err != nil {
				return err
			}
			defer src.Close()
			return etcdSave(c, env, opts, src, to)
		},
	}
}

// savedSnapshot is what etcd save says of its file.
type savedSnapshot struct {
	File     string        `json:"file"`
	Size     int64         `json:"size"`
	SHA256   string        `json:"sha256"` // of the database, the file's last 32 bytes
	HashKV   snapshot.Hash `json:"hashKV"`
	LiveKeys int64         `json:"liveKeys"`
	Aside    string        `json:"aside,omitempty"` // where the file went that stood there

	Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
}

func etcdSave(c *cli.Context, env *console.Environment, opts console.SourceOptions, src *lifeboat.Backup, to string) error {
	info, err := src.DB().Info(c.Context)
	if err != nil {
		return err
	}
	hash, err := src.DB().HashKV(c.Context, 0)
	if err != nil {
		return err
	}
	phase := env.Progress.Start("saving "+filepath.Base(to), info.Size)
	written, err := datadir.Save(c.Context, src.File(), info.Size, console.WriteTo(c, env, opts, src.Path(), to))
	phase.Done()
	if err != nil {
		return lifeboat.HintTarget(err)
	}
	saved := savedSnapshot{to, info.Size + snapshot.TrailerSize, hex.EncodeToString(written.Sum[:]), hash, info.LiveKeys, written.Aside, src.Evidence()}
	if env.Format != console.FormatTable {
		return env.PrintDocument(saved)
	}
	out := console.NewSection(env)
	out.Line("saved %s: revision %d, %d keys, HashKV %d", console.Printable(to), hash.HashRevision, info.LiveKeys, hash.Hash)
	printUndo(out, to, written.Aside)
	return out.Err
}
