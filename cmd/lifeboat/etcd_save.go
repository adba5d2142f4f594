package main

import (
	"encoding/hex"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdSaveCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "save",
		Usage: "a snapshot of a stopped member, its write-ahead log included",
		UsageText: "lifeboat etcd save /var/lib/etcd --to etcd-backup.snapshot\n" +
			"lifeboat etcd save /var/lib/etcd --peer-dir /mnt/etcd-1 --to etcd.snapshot",
		ArgsUsage: "SRC",
		Flags: append(sourceFlags(),
			&cli.StringFlag{Name: "to", Usage: "the `FILE` to write"},
			&cli.BoolFlag{Name: "replace", Usage: "move what stands at --to aside"},
			outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			to := c.String("to")
			if to == "" {
				return usagef("--to is missing: the file to write")
			}
			opts, path, err := writingOptionsOf(c, to)
			if err != nil {
				return err
			}
			src, err := openSource(c.Context, env, opts, path)
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
}

func etcdSave(c *cli.Context, env *environment, opts sourceOptions, src *source, to string) error {
	info, err := src.db.Info(c.Context)
	if err != nil {
		return err
	}
	hash, err := src.db.HashKV(c.Context, 0)
	if err != nil {
		return err
	}
	phase := env.progress.Start("saving "+filepath.Base(to), info.Size)
	written, err := datadir.Save(c.Context, src.file, info.Size, opts.writeTo(c, env, src.path, to))
	phase.Done()
	if err != nil {
		return targetHint(err)
	}
	saved := savedSnapshot{to, info.Size + snapshot.TrailerSize, hex.EncodeToString(written.Sum[:]), hash, info.LiveKeys, written.Aside}
	if env.format != formatTable {
		return env.printDocument(saved)
	}
	out := newSection(env)
	out.line("saved %s: revision %d, %d keys, HashKV %d", printable(to), hash.HashRevision, info.LiveKeys, hash.Hash)
	printUndo(out, to, written.Aside)
	return out.err
}
