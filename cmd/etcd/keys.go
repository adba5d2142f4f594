package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func etcdHashCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "hash",
		Usage: "what etcdctl endpoint hashkv would say",
		UsageText: "lifeboat etcd hash /var/lib/etcd\n" +
			"lifeboat etcd hash etcd-backup.snapshot --rev 1485",
		ArgsUsage: "SRC",
		Flags: append(console.SourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			console.OutputFlag(env, console.FormatTable, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, lifeboat.TrailerBeside, func(src *lifeboat.Backup) error {
				hash, err := src.DB().HashKV(c.Context, c.Int64("rev"))
				if err := errors.Join(err, src.Prove()); err != nil {
					return err
				}
				if env.Format != console.FormatTable {
					type endpointHash struct {
						Endpoint string
						HashKV   struct {
							Header etcdHeader `json:"header"`
							snapshot.Hash
						}
						Evidence *datadir.Evidence `json:"evidence,omitempty"` // of a data dir
					}
					h := endpointHash{Endpoint: src.Path(), Evidence: src.Evidence()}
					h.HashKV.Header, h.HashKV.Hash = headerOf(src), hash
					return env.PrintDocument(map[string]any{"items": []endpointHash{h}})
				}
				t := console.NewTable(env.Stdout, "ENDPOINT", "HASH", "HASH REVISION", "COMPACT REVISION")
				t.Row(src.Path(), strconv.FormatUint(uint64(hash.Hash), 10), strconv.FormatInt(hash.HashRevision, 10), strconv.FormatInt(hash.CompactRevision, 10))
				return t.Flush()
			})
		},
	}
}

func etcdKeysCommand(env *console.Environment) *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "etcd's keys, without their values",
		UsageText: "lifeboat etcd keys etcd-backup.snapshot /registry/secrets/\n" +
			"lifeboat etcd keys /var/lib/etcd -o wide",
		ArgsUsage: "SRC [PREFIX]",
		Flags: append(console.SourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			console.OutputFlag(env, console.FormatName, console.FormatWide, console.FormatJSON, console.FormatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return console.Usagef("keys takes SRC and, if wanted, PREFIX")
			}
			opts, err := console.SourceOptionsOf(c)
			if err != nil {
				return err
			}
			src, err := console.OpenSource(c.Context, env, opts, c.Args().First())
			if err != nil {
				return err
			}
			defer src.Close()
			return etcdKeys(c, env, src)
		},
	}
}

// etcdKey is a key under etcdctl's field names. Not the value: that is what
// get shows, decoded and on purpose.
type etcdKey struct {
	Key            string `json:"key"`
	CreateRevision int64  `json:"create_revision"`
	ModRevision    int64  `json:"mod_revision"`
	Version        int64  `json:"version"`
	Lease          int64  `json:"lease,omitempty"`
	ValueSize      int    `json:"value_size"`
}

func etcdKeys(c *cli.Context, env *console.Environment, src *lifeboat.Backup) error {
	prefix := []byte(c.Args().Get(1))
	keys := []etcdKey{}
	for kv, err := range src.DB().At(c.Context, c.Int64("rev"), func(key []byte) bool { return bytes.HasPrefix(key, prefix) }) {
		if err != nil {
			return err
		}
		keys = append(keys, etcdKey{string(kv.Key), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, len(kv.Value)})
	}
	slices.SortFunc(keys, func(a, b etcdKey) int { return strings.Compare(a.Key, b.Key) })
	switch env.Format {
	case console.FormatJSON, console.FormatYAML:
		return env.PrintDocument(map[string]any{"header": headerOf(src), "items": keys})
	case console.FormatWide:
		t := console.NewTable(env.Stdout, "KEY", "CREATE REVISION", "MOD REVISION", "VERSION", "LEASE", "VALUE SIZE")
		for _, k := range keys {
			t.Row(k.Key, strconv.FormatInt(k.CreateRevision, 10), strconv.FormatInt(k.ModRevision, 10),
				strconv.FormatInt(k.Version, 10), console.OrDash(hexID(uint64(k.Lease))), strconv.Itoa(k.ValueSize))
		}
		return t.Flush()
	}
	for _, k := range keys {
		if _, err := fmt.Fprintln(env.Stdout, console.Printable(k.Key)); err != nil {
			return err
		}
	}
	return nil
}
