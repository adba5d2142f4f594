package datadir_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	etcdsnapshot "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// benchKeys makes 0.2 GB; LIFEBOAT_SOAK multiplies it: 10 for 2 GB.
const benchKeys = 72_000

func benchDatabase(b *testing.B, trailer bool) (path string, size int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "database")
	_, err := snapshottest.Generate(path, snapshottest.Spec{Keys: benchKeys * soak, Trailer: trailer})
	require.NoError(b, err)
	info, err := os.Stat(path)
	require.NoError(b, err)
	return path, info.Size()
}

// BenchmarkRestore stands beside what etcdutl does, and the floor: one copy,
// its sha256 sum and one fsync.
func BenchmarkRestore(b *testing.B) {
	path, size := benchDatabase(b, true)
	ours := func(b *testing.B, noBootCheck bool) {
		b.SetBytes(size)
		for b.Loop() {
			dir := b.TempDir()
			file, err := os.Open(path)
			require.NoError(b, err)
			db, err := snapshot.OpenFile(b.Context(), file)
			require.NoError(b, err)
			opts := one(filepath.Join(dir, "etcd"), loopback(b))
			opts.NoBootCheck = noBootCheck
			plan, err := datadir.PlanRestore(b.Context(), db, file, opts)
			require.NoError(b, err)
			_, err = plan.Run(b.Context())
			require.NoError(b, err)
			require.NoError(b, db.Close())
			require.NoError(b, os.RemoveAll(dir))
		}
	}
	b.Run("lifeboat", func(b *testing.B) { ours(b, true) })
	b.Run("lifeboat with the boot check", func(b *testing.B) { ours(b, false) })
	b.Run("etcdutl", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			dir := filepath.Join(b.TempDir(), "etcd")
			require.NoError(b, etcdsnapshot.NewV3(zap.NewNop()).Restore(etcdsnapshot.RestoreConfig{
				SnapshotPath: path, Name: "one", OutputDataDir: dir, PeerURLs: []string{"http://127.0.0.1:1"}, InitialCluster: "one=http://127.0.0.1:1",
			}))
			require.NoError(b, os.RemoveAll(dir))
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			src, err := os.Open(path)
			require.NoError(b, err)
			dst, err := os.Create(filepath.Join(b.TempDir(), "copy"))
			require.NoError(b, err)
			_, err = io.CopyBuffer(io.MultiWriter(dst, sha256.New()), struct{ io.Reader }{src}, make([]byte, 1<<20))
			require.NoError(b, err)
			require.NoError(b, dst.Sync())
			require.NoError(b, dst.Close())
			require.NoError(b, src.Close())
			require.NoError(b, os.Remove(dst.Name()))
		}
	})
}

// BenchmarkDefrag stands beside etcdutl's defrag, which is backend.Defrag.
func BenchmarkDefrag(b *testing.B) {
	path, size := benchDatabase(b, false)
	b.Run("lifeboat", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			file, err := os.Open(path)
			require.NoError(b, err)
			db, err := snapshot.OpenFile(b.Context(), file)
			require.NoError(b, err)
			r, err := datadir.Repair(b.Context(), db, file, datadir.RepairOptions{Defrag: true, Spool: snapshot.Spool{Where: snapshot.Disk, Dir: b.TempDir()}})
			require.NoError(b, err)
			require.NoError(b, r.File.Sync())
			require.NoError(b, r.File.Close())
			require.NoError(b, db.Close())
		}
	})
	b.Run("etcdutl", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			be := backend.NewDefaultBackend(zap.NewNop(), path)
			require.NoError(b, be.Defrag())
			require.NoError(b, be.Close())
		}
	})
}

// BenchmarkStatus stands beside `etcdutl snapshot status`.
func BenchmarkStatus(b *testing.B) {
	path, size := benchDatabase(b, false)
	b.Run("lifeboat", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			db, err := snapshot.Open(b.Context(), path)
			require.NoError(b, err)
			_, err = db.Info(b.Context())
			require.NoError(b, err)
			require.NoError(b, db.Close())
		}
	})
	b.Run("etcdutl", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			_, err := etcdsnapshot.NewV3(zap.NewNop()).Status(path)
			require.NoError(b, err)
		}
	})
}

// BenchmarkReplay replays 10 000 entries of 1.5 KB.
func BenchmarkReplay(b *testing.B) {
	const entries = 10_000
	dir := harbour(b)["etcd-0"]
	value := make([]byte, 1500)
	var batch []*raftpb.Entry
	for i := range entries {
		batch = append(batch, request(b, &pb.InternalRaftRequest{Put: &pb.PutRequest{Key: fmt.Appendf(nil, "/k/%d", i%1000), Value: value}}))
	}
	extend(b, dir, 1613, 2, 1612, batch...)
	for b.Loop() {
		r, err := survey(b, dir).Replay(b.Context(), datadir.ReplayOptions{})
		require.NoError(b, err)
		require.EqualValues(b, entries+1, r.Entries())
		require.NoError(b, r.File.Close())
	}
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
