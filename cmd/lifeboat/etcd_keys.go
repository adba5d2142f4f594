package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

func etcdHashCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "hash",
		Usage: "what etcdctl endpoint hashkv would say",
		UsageText: "lifeboat etcd hash /var/lib/etcd\n" +
			"lifeboat etcd hash etcd-backup.snapshot --rev 1485",
		ArgsUsage: "SRC",
		Flags: append(sourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			outputFlag(env, formatTable, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			return withSource(c, env, trailerBeside, func(src *source) error {
				hash, err := src.db.HashKV(c.Context, c.Int64("rev"))
				if err := errors.Join(err, src.prove()); err != nil {
					return err
				}
				if env.format != formatTable {
					type endpointHash struct {
						Endpoint string
						HashKV   struct {
							Header etcdHeader `json:"header"`
							snapshot.Hash
						}
					}
					h := endpointHash{Endpoint: src.path}
					h.HashKV.Header, h.HashKV.Hash = src.header(), hash
					return env.printDocument(map[string]any{"items": []endpointHash{h}})
				}
				t := newTable(env.stdout, "ENDPOINT", "HASH", "HASH REVISION", "COMPACT REVISION")
				t.row(src.path, strconv.FormatUint(uint64(hash.Hash), 10), strconv.FormatInt(hash.HashRevision, 10), strconv.FormatInt(hash.CompactRevision, 10))
				return t.flush()
			})
		},
	}
}

func etcdKeysCommand(env *environment) *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "etcd's keys, without their values",
		UsageText: "lifeboat etcd keys etcd-backup.snapshot /registry/secrets/\n" +
			"lifeboat etcd keys /var/lib/etcd -o wide",
		ArgsUsage: "SRC [PREFIX]",
		Flags: append(sourceFlags(),
			&cli.Int64Flag{Name: "rev", Usage: "as of etcd revision `N`, 0 for the newest"},
			outputFlag(env, formatName, formatWide, formatJSON, formatYAML)),
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return usagef("keys takes SRC and, if wanted, PREFIX")
			}
			opts, err := sourceOptionsOf(c)
			if err != nil {
				return err
			}
			src, err := openSource(c.Context, env, opts, c.Args().First())
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

func etcdKeys(c *cli.Context, env *environment, src *source) error {
	prefix := []byte(c.Args().Get(1))
	keys := []etcdKey{}
	for kv, err := range src.db.At(c.Context, c.Int64("rev"), func(key []byte) bool { return bytes.HasPrefix(key, prefix) }) {
		if err != nil {
			return err
		}
		keys = append(keys, etcdKey{string(kv.Key), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, len(kv.Value)})
	}
	slices.SortFunc(keys, func(a, b etcdKey) int { return strings.Compare(a.Key, b.Key) })
	switch env.format {
	case formatJSON, formatYAML:
		return env.printDocument(map[string]any{"header": src.header(), "items": keys})
	case formatWide:
		t := newTable(env.stdout, "KEY", "CREATE REVISION", "MOD REVISION", "VERSION", "LEASE", "VALUE SIZE")
		for _, k := range keys {
			t.row(k.Key, strconv.FormatInt(k.CreateRevision, 10), strconv.FormatInt(k.ModRevision, 10),
				strconv.FormatInt(k.Version, 10), orDash(hexID(uint64(k.Lease))), strconv.Itoa(k.ValueSize))
		}
		return t.flush()
	}
	for _, k := range keys {
		if _, err := fmt.Fprintln(env.stdout, printable(k.Key)); err != nil {
			return err
		}
	}
	return nil
}
