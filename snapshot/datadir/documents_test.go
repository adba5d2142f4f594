package datadir_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// Cases of operators' documents, on a real etcd.

// One of two is lost, and the other one has got another address. When the lost
// one comes back with its old dir it is told off; after etcd's own
// --force-new-cluster it meets members of its own cluster id that do not know
// it, "unexpected removal of unknown remote peer" (etcd-io/etcd#13119).
func TestTwoToOne(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-0"], datadir.ReplayOptions{})
	root, peers := t.TempDir(), map[string]url.URL{"a": loopback(t), "b": loopback(t)}
	opts := datadir.RestoreOptions{
		NoBootCheck: true, InitialCluster: "a=" + peerURL(peers["a"]) + ",b=" + peerURL(peers["b"]),
		Members: []datadir.NewMember{
			{Name: "a", PeerURLs: []string{peerURL(peers["a"])}, Target: at(filepath.Join(root, "a"))},
			{Name: "b", PeerURLs: []string{peerURL(peers["b"])}, Target: at(filepath.Join(root, "b"))},
		},
	}
	_, err := restore(t, whole, opts)
	require.NoError(t, err)
	a, stopA := startUntil(t, etcdConfig("a", filepath.Join(root, "a"), peers["a"]))
	_, stopB := startUntil(t, etcdConfig("b", filepath.Join(root, "b"), peers["b"]))
	_, err = ready(t, a.Server).Put(t.Context(), "/two", "of two")
	require.NoError(t, err)
	stopA()
	stopB()

	survivor := replay(t, filepath.Join(root, "a"), datadir.ReplayOptions{})
	moved := loopback(t)
	one := one(filepath.Join(root, "rebuilt"), moved)
	_, err = restore(t, survivor, one)
	require.NoError(t, err)
	// It stands at the old address as well, as a host does that kept its name.
	cfg := etcdConfig("one", filepath.Join(root, "rebuilt"), moved)
	cfg.ListenPeerUrls = append(cfg.ListenPeerUrls, peers["a"])
	rebuilt := start(t, cfg)
	client := ready(t, rebuilt.Server)

	old := etcdConfig("b", filepath.Join(root, "b"), peers["b"])
	core, said := observer.New(zapcore.WarnLevel)
	old.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core))
	start(t, old)
	require.Eventually(t, func() bool { return said.FilterMessageSnippet("cluster ID mismatch").Len() > 0 }, time.Minute, 50*time.Millisecond)

	got, err := client.Get(t.Context(), "/two")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	list, err := client.MemberList(t.Context())
	require.NoError(t, err)
	require.Len(t, list.Members, 1)
	require.Equal(t, []string{peerURL(moved)}, list.Members[0].PeerURLs)
	works(t, client)
}

func peerURL(u url.URL) string { return u.String() }

// The quota is full and the alarm raised: nothing can be written any more, not
// even what would make room. Repaired, it starts under the same quota.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	const quota = 2 << 20
	root, peer := t.TempDir(), loopback(t)
	cfg := etcdConfig("one", filepath.Join(root, "full"), peer)
	cfg.QuotaBackendBytes = quota
	e, stop := startUntil(t, cfg)
	client := ready(t, e.Server)
	var err error
	for n := 0; err == nil; n++ {
		require.Less(t, n, 10_000)
		_, err = client.Put(t.Context(), "/big", strings.Repeat("x", 64<<10))
	}
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	stop()

	full := replay(t, filepath.Join(root, "full"), datadir.ReplayOptions{})
	repaired, err := datadir.Repair(t.Context(), database(t, full), full.File, datadir.RepairOptions{Disarm: true, Compact: true, Defrag: true})
	require.NoError(t, err)
	defer repaired.File.Close()
	require.Equal(t, "NOSPACE", repaired.Alarms[0].Alarm)
	require.Less(t, repaired.After.Size, int64(quota/4))
	file, err := os.Open(procPath(repaired.File))
	require.NoError(t, err)
	db, err := snapshot.OpenFile(t.Context(), file)
	require.NoError(t, err)
	defer db.Close()
	plan, err := datadir.PlanRestore(t.Context(), db, repaired.File, one(filepath.Join(root, "repaired"), peer))
	require.NoError(t, err)
	_, err = plan.Run(t.Context())
	require.NoError(t, err)

	cfg = etcdConfig("one", filepath.Join(root, "repaired"), peer)
	cfg.QuotaBackendBytes = quota
	client = ready(t, start(t, cfg).Server)
	got, err := client.Get(t.Context(), "/big")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	works(t, client)
}
