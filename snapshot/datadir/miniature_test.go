package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// What is restored by way of a miniature is what etcdutl makes of the whole
// database: the same records, the same log, and the same buckets but for what
// etcdutl leaves of the old cluster.
func TestRestoredIsEtcdutls(t *testing.T) {
	t.Parallel()
	generated := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(generated, snapshottest.Spec{Keys: 2000, Trailer: true})
	require.NoError(t, err)
	survivor := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	replayed, err := database(t, survivor).Status()
	require.NoError(t, err)
	harbour := filepath.Join(t.TempDir(), "db")
	_, err = datadir.Save(t.Context(), survivor.File, replayed.Size, datadir.Target{Path: harbour})
	require.NoError(t, err)
	for name, path := range map[string]string{"generated": generated, "harbour": harbour} {
		for _, bump := range []uint64{0, 5000} {
			ours, theirs, peer := filepath.Join(t.TempDir(), "etcd"), filepath.Join(t.TempDir(), "etcd"), loopback(t)
			opts := one(ours, peer)
			opts.Token, opts.Bump, opts.NoBootCheck = "token", bump, true
			file, err := os.Open(path)
			require.NoError(t, err)
			db, err := snapshot.OpenFile(t.Context(), file)
			require.NoError(t, err)
			defer db.Close()
			plan, err := datadir.PlanRestore(t.Context(), db, file, opts)
			require.NoError(t, err)
			_, err = plan.Run(t.Context())
			require.NoError(t, err)
			require.NoError(t, etcdsnapshot.NewV3(zap.NewNop()).Restore(etcdsnapshot.RestoreConfig{
				SnapshotPath: path, Name: "one", OutputDataDir: theirs, PeerURLs: []string{peer.String()},
				InitialCluster: opts.InitialCluster, InitialClusterToken: "token", RevisionBump: bump, MarkCompacted: bump > 0,
			}))

			a, b := survey(t, ours), survey(t, theirs)
			require.Equal(t, b.Info.Revision, a.Info.Revision, name)
			require.Equal(t, b.Info.CompactRevision, a.Info.CompactRevision, name)
			require.Equal(t, [2]uint64{b.Info.RaftIndex, b.Info.RaftTerm}, [2]uint64{a.Info.RaftIndex, a.Info.RaftTerm}, name)
			require.Equal(t, b.Members, a.Members)
			require.Equal(t, b.Log.Stretches, a.Log.Stretches)
			wal := filepath.Join("member", "wal", "0000000000000000-0000000000000000.wal")
			require.Equal(t, contentOf(t, filepath.Join(theirs, wal)), contentOf(t, filepath.Join(ours, wal)), "the log, byte for byte")

			left, right := databaseOf(t, ours), databaseOf(t, theirs)
			for _, pair := range [][2]*snapshot.DB{{left, right}, {right, left}} {
				more, err := pair[0].Beyond(t.Context(), pair[1])
				require.NoError(t, err)
				require.Empty(t, more)
			}
			different, err := left.DifferentBuckets(right)
			require.NoError(t, err)
			require.Subset(t, []string{"meta", "alarm"}, different, "the ConfState and the alarms of the old members")
		}
	}
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func databaseOf(t *testing.T, dir string) *snapshot.DB {
	t.Helper()
	db, err := snapshot.Open(t.Context(), open(t, dir).Database())
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// A source that turns out not to be what it should be leaves no target.
func TestNothingWithoutProof(t *testing.T) {
	t.Parallel()
	r := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	dir := t.TempDir()
	opts := one(filepath.Join(dir, "etcd"), loopback(t))
	opts.NoBootCheck = true
	wrong := errors.New("the trailer is wrong")
	opts.Proof = func() error { return wrong }
	_, err := restore(t, r, opts)
	require.ErrorIs(t, err, wrong)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
