package lifeboat_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// What the sources tell of the cluster, and what is planned of it.
func TestKnown(t *testing.T) {
	t.Parallel()
	known, err := open(t, harbour, lifeboat.Options{}).Known("")
	require.NoError(t, err)
	require.Len(t, known.Members, 3)
	require.False(t, known.DataDir)
	require.Equal(t, int64(1485), known.Revision)
	require.NotEmpty(t, known.Manifest.Name)
	plan, err := datadir.PlanCluster(known, datadir.Wanted{Bump: datadir.BumpAuto})
	require.NoError(t, err)
	require.Equal(t, known.Manifest.Name, plan.Write[0].Name)
	require.Equal(t, known.Manifest.PeerURLs, plan.Write[0].PeerURLs)
	require.Equal(t, uint64(datadir.BumpMargin), plan.Bump)

	known, err = open(t, memberDir(t, "etcd-1"), lifeboat.Options{}).Known("")
	require.NoError(t, err)
	require.True(t, known.DataDir)
	plan, err = datadir.PlanCluster(known, datadir.Wanted{})
	require.NoError(t, err)
	require.Equal(t, "master-1", plan.Write[0].Name)

	none := filepath.Join(t.TempDir(), "pod.yaml")
	require.NoError(t, os.WriteFile(none, []byte("kind: Pod\n"), 0o600))
	_, err = open(t, harbour, lifeboat.Options{}).Known(none)
	require.ErrorContains(t, err, "it is not a manifest that runs etcd")
}

func TestKeysOfNodes(t *testing.T) {
	t.Parallel()
	b := open(t, harbour, lifeboat.Options{})
	keys, err := b.KeysOfNodes(t.Context(), []string{"node-1"}, false)
	require.NoError(t, err)
	var pods, lease, node int
	for i, key := range keys {
		switch {
		case bytes.HasPrefix(key, []byte("/registry/pods/")):
			pods++
		case string(key) == "/registry/leases/kube-node-lease/node-1":
			lease++
		case string(key) == "/registry/minions/node-1":
			node++
		default:
			t.Errorf("%s", key)
		}
		require.True(t, i == 0 || bytes.Compare(keys[i-1], key) < 0)
	}
	require.Positive(t, pods)
	require.Equal(t, []int{1, 1}, []int{lease, node})

	_, err = b.KeysOfNodes(t.Context(), []string{"node-9"}, false)
	require.ErrorContains(t, err, `--drop-node "node-9": there is no such Node`)
	keys, err = b.KeysOfNodes(t.Context(), nil, false)
	require.NoError(t, err)
	require.Empty(t, keys)
}

// etcd's own way after a lost quorum comes to the same, and is then the
// backup's database.
func TestForceNewCluster(t *testing.T) {
	t.Parallel()
	b := open(t, memberDir(t, "etcd-0"), lifeboat.Options{CommittedOnly: true, ScratchDir: t.TempDir()})
	before, err := b.Known("")
	require.NoError(t, err)
	hash, err := b.ForceNewCluster(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint32(2834535985), hash.Hash)
	after, err := b.Known("")
	require.NoError(t, err)
	require.Equal(t, before, after, "the boot's member list is not the cluster's")
}

func TestCompare(t *testing.T) {
	t.Parallel()
	dirs := []string{memberDir(t, "etcd-0"), memberDir(t, "etcd-1"), harbour}
	found, err := lifeboat.Compare(t.Context(), dirs, lifeboat.Options{})
	require.NoError(t, err)
	require.NoError(t, found.Verdict())
	require.Equal(t, 3, found.Readable())
	require.Equal(t, int64(1485), found.CommonRevision)
	require.Contains(t, dirs[:2], found.Recommended)
	require.Contains(t, found.Reasons, "2 of 3 voters are at hand, a majority: it has every write that was acknowledged")
	require.Len(t, found.Differences, 1)
	require.Equal(t, "/registry/configmaps/infra-production/wal-tail", found.Differences[0].Key)
	require.Zero(t, found.Differences[0].Revisions[2])

	one, err := lifeboat.Compare(t.Context(), dirs[:1], lifeboat.Options{})
	require.NoError(t, err)
	require.Contains(t, one.Reasons[1], "no majority")

	_, err = lifeboat.Compare(t.Context(), dirs, lifeboat.Options{CommittedOnly: true})
	require.ErrorContains(t, err, "no --committed-only")
}

func TestInspect(t *testing.T) {
	t.Parallel()
	found, err := open(t, harbour, lifeboat.Options{}).Inspect(t.Context())
	require.NoError(t, err)
	require.NoError(t, found.Verdict())
	require.Equal(t, int64(621), found.Etcd.LiveKeys)
	require.Len(t, found.Members, 3)
	require.NotEmpty(t, found.Files.Certificates)
	require.Equal(t, "lifeboat get testdata/harbour/kube-backup.tar.gz all -n infra-production", found.Next[0])
}

// What is packed is what Open gives back, with nothing to find fault with.
func TestPack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	key := filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(key, []byte(id.String()+"\n"), 0o600))
	recipients, err := crypto.ParseRecipient(id.Recipient().String(), nil)
	require.NoError(t, err)
	x, err := lifeboat.Pack(t.Context(), lifeboat.PackOptions{
		Snapshot: memberDir(t, "etcd-0"), Node: "master-0", Epoch: time.Unix(1700000000, 0), Recipients: []crypto.Recipient{recipients},
		Compression: archive.Compression{Format: archive.Gzip},
	}, lifeboat.Options{})
	require.NoError(t, err)
	defer x.Close()
	require.Zero(t, x.Incomplete())
	path := filepath.Join(dir, "backup.age")
	file, err := os.Create(path)
	require.NoError(t, err)
	done, err := x.Write(t.Context(), file)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	require.NoError(t, done.ReadBack(t.Context(), file, info.Size()))
	require.Error(t, done.ReadBack(t.Context(), file, info.Size()-1), "its last byte is missing")
	require.NoError(t, file.Close())
	require.Contains(t, x.Comment(), "cluster=b8396dd5-dec4-46d5-9032-2af14c2d54f9 revision=1486 time=2023-11-14T22:13:20Z")

	found := states(t, path, lifeboat.Options{Identities: []string{key}})
	for _, check := range []string{"manifest", "etcd hash", "sha256 trailer", "records"} {
		require.Equal(t, lifeboat.StateGood, found[check], check)
	}

	_, err = lifeboat.Pack(t.Context(), lifeboat.PackOptions{Snapshot: harbour}, lifeboat.Options{})
	e := (*lifeboat.Error)(nil)
	require.True(t, errors.As(err, &e))
	require.ErrorContains(t, err, "is an archive already")
}
