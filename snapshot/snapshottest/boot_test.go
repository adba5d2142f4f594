package snapshottest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

func TestMain(m *testing.M) {
	etcdproc.Main()
	os.Exit(m.Run())
}

// TestEtcdBootsOnIt: a generated database is one to etcd too, which reads the
// same out of it.
func TestEtcdBootsOnIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 800, Trailer: true})
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	etcd, err := etcdproc.Start(t.Context(), f, etcdproc.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer etcd.Close()
	direct, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	defer direct.Close()

	require.Equal(t, etcd.Revision(), direct.Revision())
	for _, rev := range []int64{0, direct.Revision() / 2} {
		require.Equal(t, read(t, etcd, rev), read(t, direct, rev))
	}
}

// read returns the keyspace at a revision, as values that outlive the reader's.
func read(t *testing.T, r snapshot.Reader, rev int64) map[string]snapshot.KeyValue {
	t.Helper()
	all := make(map[string]snapshot.KeyValue)
	for kv, err := range r.At(context.Background(), rev, nil) {
		require.NoError(t, err)
		all[string(kv.Key)] = kv
	}
	return all
}
