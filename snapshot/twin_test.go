package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// store is etcd's own keyspace over a database file: the twin.
type store struct {
	mvcc.WatchableKV
	backend backend.Backend
}

func newStore(path string) *store {
	config := backend.DefaultBackendConfig(zap.NewNop())
	config.Path, config.UnsafeNoFsync, config.MmapSize = path, true, 1<<20
	b := backend.New(config)
	// etcd makes the other buckets elsewhere; a snapshot always has them.
	tx := b.BatchTx()
	tx.LockOutsideApply()
	for _, bucket := range schema.AllBuckets {
		tx.UnsafeCreateBucket(bucket)
	}
	tx.Unlock()
	return &store{mvcc.New(zap.NewNop(), b, &lease.FakeLessor{}, mvcc.StoreConfig{}), b}
}

func (s *store) close() {
	s.WatchableKV.Close()
	s.backend.Close()
}

// save writes the file as `etcdctl snapshot save` gets it, less the trailer.
func (s *store) save(path string) error {
	s.backend.ForceCommit()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	snap := s.backend.Snapshot()
	defer snap.Close()
	_, err = snap.WriteTo(f)
	return err
}

// keysAt is the keyspace at a revision, told by etcd.
func (s *store) keysAt(ctx context.Context, rev int64) (map[string]snapshot.KeyValue, error) {
	result, err := s.Range(ctx, []byte{0}, []byte{}, mvcc.RangeOptions{Rev: rev})
	if err != nil {
		return nil, err
	}
	all := make(map[string]snapshot.KeyValue)
	for _, kv := range result.KVs {
		all[string(kv.Key)] = snapshot.KeyValue{
			Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
			ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
		}
	}
	return all, nil
}

// TestTwinOfEtcd: after any history, every revision that etcd can still read is
// read alike, with the same hash.
func TestTwinOfEtcd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, func(rt *rapid.T) {
		for _, old := range []string{"live", "saved", "restarted"} {
			_ = os.Remove(filepath.Join(dir, old)) // the first time there is none
		}
		live := newStore(filepath.Join(dir, "live"))
		defer live.close()
		rt.Repeat(actions(live))
		saved := filepath.Join(dir, "saved")
		require.NoError(rt, live.save(saved))
		requireTwins(rt, live, saved)

		// A live store answers some hashes from a cache that knows an older
		// compacted revision; a restarted one has only the file.
		if rapid.Bool().Draw(rt, "cut off a compaction") && live.Rev() > 1 {
			rev := rapid.Int64Range(2, live.Rev()).Draw(rt, "at")
			if live.FirstRev() < rev {
				mvcc.SetScheduledCompact(live.backend.BatchTx(), rev)
				require.NoError(rt, live.save(saved))
			}
		}
		data, err := os.ReadFile(saved)
		require.NoError(rt, err)
		require.NoError(rt, os.WriteFile(filepath.Join(dir, "restarted"), data, 0o600))
		restarted := newStore(filepath.Join(dir, "restarted"))
		defer restarted.close()
		// The restart resumes a compaction; one that is refused waits for it.
		if restarted.FirstRev() > 0 {
			resumed, err := restarted.Compact(traceutil.TODO(), restarted.FirstRev())
			require.ErrorIs(rt, err, mvcc.ErrCompacted)
			<-resumed
		}
		requireTwins(rt, restarted, saved)
		requireSameHashes(rt, restarted, saved)
	})
}

func actions(s *store) map[string]func(*rapid.T) {
	keys := []string{"a", "aa", "b", "c", "d"}
	key := rapid.SampledFrom(keys)
	// As in etcd's API, one transaction does not both delete and put a key.
	txn := func(rt *rapid.T) {
		txn := s.Write(traceutil.TODO())
		defer txn.End()
		puts := rapid.SliceOfN(key, 0, 3).Draw(rt, "puts")
		for _, k := range puts {
			txn.Put([]byte(k), []byte(rapid.StringN(0, 9, -1).Draw(rt, "value")), lease.LeaseID(rapid.Int64Range(0, 2).Draw(rt, "lease")))
		}
		deletes := rapid.SliceOfN(key.Filter(func(k string) bool { return !slices.Contains(puts, k) }), 0, 2).Draw(rt, "deletes")
		for _, k := range deletes {
			txn.DeleteRange([]byte(k), nil)
		}
	}
	return map[string]func(*rapid.T){
		"txn": txn,
		"delete all": func(rt *rapid.T) {
			s.DeleteRange([]byte{0}, []byte{})
		},
		"put": func(rt *rapid.T) {
			s.Put([]byte(key.Draw(rt, "key")), []byte("put"), lease.NoLease)
		},
		"compact": func(rt *rapid.T) {
			if rapid.IntRange(0, 2).Draw(rt, "really") > 0 {
				return
			}
			rev := rapid.Int64Range(max(s.FirstRev(), 1), s.Rev()).Draw(rt, "revision")
			done, err := s.Compact(traceutil.TODO(), rev)
			if err == nil {
				<-done
			}
		},
	}
}

func requireTwins(rt *rapid.T, twin *store, path string) {
	db, err := snapshot.Open(rt.Context(), path)
	require.NoError(rt, err)
	defer db.Close()
	require.Equal(rt, twin.Rev(), db.Revision())
	require.Equal(rt, twin.FirstRev(), db.CompactRevision())

	for rev := int64(1); rev <= db.Revision()+1; rev++ {
		want, wantErr := twin.keysAt(rt.Context(), rev)
		got := make(map[string]snapshot.KeyValue)
		var gotErr error
		for kv, err := range db.At(rt.Context(), rev, nil) {
			if gotErr = err; err == nil {
				require.NotContains(rt, got, string(kv.Key))
				got[string(kv.Key)] = kv
			}
		}
		switch {
		case wantErr == nil:
			require.NoError(rt, gotErr)
			requireSameKeys(rt, want, got, rev)
		case rev > db.Revision():
			require.ErrorIs(rt, wantErr, mvcc.ErrFutureRev)
			require.ErrorIs(rt, gotErr, snapshot.ErrFutureRevision)
		default:
			require.ErrorIs(rt, wantErr, mvcc.ErrCompacted)
			require.ErrorIs(rt, gotErr, snapshot.ErrCompacted)
		}
	}
	problems, err := db.Check(rt.Context())
	require.NoError(rt, err)
	require.Empty(rt, problems)
}

func requireSameKeys(rt *rapid.T, want, got map[string]snapshot.KeyValue, rev int64) {
	describe := func(all map[string]snapshot.KeyValue) map[string]string {
		lines := make(map[string]string)
		for key, kv := range all {
			lines[key] = fmt.Sprintf("%q created %d changed %d version %d lease %d", kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
		}
		return lines
	}
	require.Equal(rt, describe(want), describe(got), "revision %d", rev)
}

func requireSameHashes(rt *rapid.T, twin *store, path string) {
	db, err := snapshot.Open(rt.Context(), path)
	require.NoError(rt, err)
	defer db.Close()
	for rev := max(db.CompactRevision(), 0); rev <= db.Revision(); rev++ {
		want, _, err := twin.HashStorage().HashByRev(rev)
		require.NoError(rt, err)
		got, err := db.HashKV(rt.Context(), rev)
		require.NoError(rt, err)
		if want.CompactRevision != got.CompactRevision {
			continue // cached while the compaction ran
		}
		require.Equal(rt, want.Revision, got.HashRevision)
		require.Equal(rt, want.Hash, got.Hash, "revision %d, compacted at %d", rev, db.CompactRevision())
	}
}

// TestSizeInUse holds the free pages against those that etcd counts on the
// same file.
func TestSizeInUse(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"harbour": harbour(t), "generated": generate(t, 1000)} {
		info, err := open(t, path).Info(t.Context())
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		config := backend.DefaultBackendConfig(zap.NewNop())
		config.Path, config.MmapSize = write(t, data), 1<<20
		b := backend.New(config)
		require.Equal(t, b.Size(), info.Size, name)
		require.Equal(t, b.SizeInUse(), info.SizeInUse, name)
		require.NoError(t, b.Close())
	}
}

// TestHashOfManyPages: the hash of a database that is read in many parts, and
// the number of its keys, are etcd's, before and after a compaction in the
// middle of its history.
func TestHashOfManyPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	summary, err := snapshottest.Generate(path, snapshottest.Spec{Keys: 8000, Updates: 50})
	require.NoError(t, err)
	middle := summary.Revision / 2
	for _, compact := range []bool{false, true} {
		s := newStore(path)
		if compact {
			done, err := s.Compact(traceutil.TODO(), middle)
			require.NoError(t, err)
			<-done
			s.close() // a live store answers from a cache of before the compaction
			s = newStore(path)
		}
		saved := filepath.Join(t.TempDir(), "saved")
		require.NoError(t, s.save(saved))
		db := open(t, saved)
		for _, rev := range []int64{middle, middle + 1, summary.Revision - 1, summary.Revision} {
			want, _, err := s.HashStorage().HashByRev(rev)
			require.NoError(t, err)
			got, err := db.HashKV(t.Context(), rev)
			require.NoError(t, err)
			require.Equal(t, want.Hash, got.Hash, "revision %d, compacted %v", rev, compact)
		}
		info, err := db.Info(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, summary.Live, info.LiveKeys)
		records, tombstones := int64(0), int64(0)
		for r, err := range db.Records(t.Context(), 0) {
			require.NoError(t, err)
			records++
			if r.Deleted {
				tombstones++
			}
		}
		require.Equal(t, [2]int64{records, tombstones}, [2]int64{info.Records, info.Tombstones})
		s.close()
	}
}
