package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	bolt "go.etcd.io/bbolt"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// TestFaults: every way to damage a file gives an error of the right kind, in
// time, and leaves the file as it was.
func TestFaults(t *testing.T) {
	t.Parallel()
	sound := generate(t, 600)
	data, err := os.ReadFile(sound)
	require.NoError(t, err)
	for _, fault := range snapshottest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			path := write(t, data)
			require.NoError(t, fault.Apply(path))
			before := fingerprintOf(t, path)

			db, err := snapshot.Open(t.Context(), path)
			switch fault.Effect {
			case snapshottest.Damaged:
				require.ErrorIs(t, err, snapshot.ErrDamaged)
				require.NotErrorIs(t, err, snapshot.ErrNotDatabase)
				var at *snapshot.DamagedError
				require.ErrorAs(t, err, &at)
				require.Contains(t, err.Error(), "opening database")
			case snapshottest.NotDatabase:
				require.ErrorIs(t, err, snapshot.ErrNotDatabase)
				require.NotErrorIs(t, err, snapshot.ErrDamaged)
			case snapshottest.Readable:
				require.NoError(t, err)
				require.NoError(t, readAll(t, db))
				require.NoError(t, db.Close())
				f, err := os.Open(path)
				require.NoError(t, err)
				defer f.Close()
				sum, err := snapshot.HashTrailer(t.Context(), f)
				require.NoError(t, err)
				require.Equal(t, snapshot.TrailerWrong, sum.Verdict())
			}
			require.Equal(t, before, fingerprintOf(t, path))
		})
	}
}

// TestDamageIsNamed: the error says which page, where, and what is missing.
func TestDamageIsNamed(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbour(t))
	require.NoError(t, err)
	_, err = snapshot.Open(t.Context(), write(t, data[:546*4096]))
	require.ErrorContains(t, err, "page 546 at offset 2236416: the file ends here, but its 548 pages of 4096 bytes take 2244608 bytes: 8192 are missing")
}

// TestSourceIsNotChanged: whatever is read, the bytes and times stay.
func TestSourceIsNotChanged(t *testing.T) {
	t.Parallel()
	path := harbour(t)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 0)))
	require.NoError(t, os.Chmod(path, 0o600))
	before := fingerprintOf(t, path)
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, readAll(t, db))
	require.NoError(t, db.Close())
	require.Equal(t, before, fingerprintOf(t, path))
}

// TestInUse: a file that a writer holds is refused within moments, and the
// error names the writer.
func TestInUse(t *testing.T) {
	t.Parallel()
	path := generate(t, 10)
	writer, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	start := time.Now()
	_, err = snapshot.Open(t.Context(), path)
	require.ErrorIs(t, err, snapshot.ErrInUse)
	require.Less(t, time.Since(start), 10*time.Second)
	var holder *snapshot.InUseError
	require.ErrorAs(t, err, &holder)
	require.Equal(t, path, holder.Path)
	if _, err := os.Stat("/proc/locks"); err == nil && holder.PID != 0 {
		require.Equal(t, os.Getpid(), holder.PID)
		require.NotEmpty(t, holder.Command)
	}

	require.NoError(t, writer.Close())
	db := open(t, path)
	other := open(t, path) // readers share
	require.Equal(t, db.Revision(), other.Revision())
}

// TestNotEtcd: files that are sound and something else say what they are.
func TestNotEtcd(t *testing.T) {
	t.Parallel()
	boltFile := func(buckets ...string) string {
		path := filepath.Join(t.TempDir(), "bolt")
		db, err := bolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, db.Close())
		return path
	}
	_, err := snapshot.Open(t.Context(), boltFile())
	require.ErrorIs(t, err, snapshot.ErrNotEtcd)
	require.ErrorContains(t, err, "no bucket was ever made")
	_, err = snapshot.Open(t.Context(), boltFile("blobs", "index"))
	require.ErrorIs(t, err, snapshot.ErrNotEtcd)
	require.ErrorContains(t, err, `no bucket "key"`)

	_, err = snapshot.Open(t.Context(), t.TempDir())
	require.ErrorIs(t, err, snapshot.ErrNotDatabase)
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	_, err = snapshot.Open(t.Context(), fifo)
	require.ErrorIs(t, err, snapshot.ErrNotDatabase, "and no waiting for a writer")
	_, err = snapshot.Open(t.Context(), filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestOldFormats: etcd 3.4 knew neither term nor versions; a keyspace without
// meta bucket is still a keyspace.
func TestOldFormats(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	require.NoError(t, os.Truncate(path, fingerprintSize(t, path)-snapshot.TrailerSize))
	edit(t, path, func(tx *bolt.Tx) error {
		for _, key := range []string{"term", "confState", "storageVersion"} {
			if err := tx.Bucket([]byte("meta")).Delete([]byte(key)); err != nil {
				return err
			}
		}
		return tx.DeleteBucket([]byte("cluster"))
	})
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	info, err := db.Info(t.Context())
	require.NoError(t, err)
	require.NotZero(t, info.RaftIndex)
	require.Zero(t, info.RaftTerm)
	require.Empty(t, info.ClusterVersion+info.StorageVersion)
	require.NoError(t, db.Close())

	edit(t, path, func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("meta")), tx.DeleteBucket([]byte("members")), tx.DeleteBucket([]byte("alarm")))
	})
	require.NoError(t, readAll(t, open(t, path)))
}

func fingerprintSize(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// edit changes a database as a writer does.
func edit(t *testing.T, path string, change func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

// TestBumpedRestore: a restore with --bump-revision leaves an empty record and
// a compaction that never ran. No key appears or is lost.
func TestBumpedRestore(t *testing.T) {
	t.Parallel()
	source := harbour(t)
	dir := filepath.Join(t.TempDir(), "restored")
	require.NoError(t, etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
		SnapshotPath: source, Name: "a", OutputDataDir: dir, PeerURLs: []string{"http://127.0.0.1:2380"},
		InitialCluster: "a=http://127.0.0.1:2380", InitialClusterToken: "token", RevisionBump: 1000, MarkCompacted: true,
	}))
	db := open(t, filepath.Join(dir, "member", "snap", "db"))
	require.EqualValues(t, 2485, db.Revision())
	require.EqualValues(t, 2485, db.CompactRevision())
	require.Equal(t, keys(t, open(t, source), 0), keys(t, db, 0))
	for _, err := range db.At(t.Context(), 1485, nil) {
		require.ErrorIs(t, err, snapshot.ErrCompacted)
	}
	info, err := db.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 621, info.LiveKeys)
	problems, err := db.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)
	members, _, err := db.Members()
	require.NoError(t, err)
	require.Len(t, members, 1)

	reopened := newStore(write(t, mustRead(t, filepath.Join(dir, "member", "snap", "db"))))
	defer reopened.close()
	want, _, err := reopened.HashStorage().HashByRev(0)
	require.NoError(t, err)
	got, err := db.HashKV(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, want.Hash, got.Hash)
}

// TestCompactedToTheEnd: a compaction can leave nothing of the newest revisions
// (etcd-io/etcd#17780). They were taken all the same.
func TestCompactedToTheEnd(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"finishedCompactRev", "scheduledCompactRev"} {
		path := generate(t, 20)
		edit(t, path, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte(key), []byte("\x00\x00\x00\x00\x00\x00\x10\x00_\x00\x00\x00\x00\x00\x00\x00\x00"))
		})
		db := open(t, path)
		etcd := newStore(write(t, mustRead(t, path)))
		defer etcd.close()
		require.Equal(t, etcd.Rev(), db.Revision(), key)
		require.EqualValues(t, 4096, db.Revision())
		require.EqualValues(t, 4096, db.CompactRevision())
		require.Len(t, keys(t, db, 0), 20)
	}
}

func mustRead(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func keys(t *testing.T, db *snapshot.DB, rev int64) map[string]int64 {
	t.Helper()
	all := make(map[string]int64)
	for kv, err := range db.At(t.Context(), rev, nil) {
		require.NoError(t, err)
		all[string(kv.Key)] = kv.ModRevision
	}
	return all
}

// TestCutShortWhileOpen: a file that shrinks under the reader gives an error,
// not the end of the process.
func TestCutShortWhileOpen(t *testing.T) {
	t.Parallel()
	path := generate(t, 600)
	db := open(t, path)
	require.NoError(t, os.Truncate(path, 2*4096))
	failed := false
	for _, err := range db.At(t.Context(), 0, nil) {
		if err != nil {
			failed = true
			require.ErrorIs(t, err, snapshot.ErrDamaged)
			require.ErrorContains(t, err, "the file ended or its disk failed")
		}
	}
	require.True(t, failed)
	_, err := db.HashKV(t.Context(), 0)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	_, err = db.Info(t.Context())
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	_, err = db.Check(t.Context())
	require.ErrorIs(t, err, snapshot.ErrDamaged)
}

// TestPanicOfTheCaller: what the caller's own code panics with is not taken for
// a fault of the file.
func TestPanicOfTheCaller(t *testing.T) {
	t.Parallel()
	db := open(t, generate(t, 10))
	require.PanicsWithValue(t, "mine", func() {
		for _, err := range db.At(t.Context(), 0, func([]byte) bool { panic("mine") }) {
			require.Fail(t, "unreachable", err)
		}
	})
	require.Panics(t, func() {
		var nothing *snapshot.DB
		for _, err := range db.At(t.Context(), 0, nil) {
			require.NoError(t, err)
			nothing.Revision()
		}
	})
}

// TestCancel: a context that is over ends every walk.
func TestCancel(t *testing.T) {
	t.Parallel()
	path := generate(t, 6000)
	db := open(t, path)
	cause := errors.New("interrupted by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, err := range db.At(ctx, 0, nil) {
		require.ErrorIs(t, err, cause)
	}
	_, err := db.HashKV(ctx, 0)
	require.ErrorIs(t, err, cause)
	_, err = db.Info(ctx)
	require.ErrorIs(t, err, cause)
	_, err = db.Check(ctx)
	require.ErrorIs(t, err, cause)
	_, err = snapshot.Open(ctx, path)
	require.ErrorIs(t, err, cause)
}

// TestCheckFindsWhatOpenLetsPass: a record that contradicts its revision, and
// members and alarms that are garbage, are reported one by one.
func TestCheckFindsWhatOpenLetsPass(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	edit(t, path, func(tx *bolt.Tx) error {
		_, record := tx.Bucket([]byte("key")).Cursor().First()
		return errors.Join(
			tx.Bucket([]byte("key")).Put([]byte("\x00\x00\x00\x00\x00\x00\x10\x00_\x00\x00\x00\x00\x00\x00\x00\x00"), record),
			tx.Bucket([]byte("key")).Put([]byte("\x00\x00\x00\x00\x00\x00\x10\x01_\x00\x00\x00\x00\x00\x00\x00\x00"), []byte("\xff\xff")),
			tx.Bucket([]byte("members")).Put([]byte("xyz"), []byte("{}")),
			tx.Bucket([]byte("alarm")).Put([]byte("\xff"), nil),
			tx.Bucket([]byte("meta")).Put([]byte("storageVersion"), []byte("3.7\x1b[31m")),
		)
	})
	db := open(t, path)
	problems, err := db.Check(t.Context())
	require.NoError(t, err)
	var codes []snapshot.ProblemCode
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	require.Equal(t, []snapshot.ProblemCode{
		snapshot.BadRecord, snapshot.BadRecord, snapshot.BadStatus, snapshot.BadMember, snapshot.BadAlarm,
	}, codes)
	require.Contains(t, problems[0].Detail, "revision 4096.0: key \"/registry/namespaces/infra-production\" says that it was changed at revision 2")

	require.Contains(t, problems[2].Detail, `"3.7\x1b[31m" is not a version`)

	var failure error
	for _, err := range db.At(t.Context(), 0, nil) {
		failure = err
	}
	require.ErrorIs(t, failure, snapshot.ErrDamaged)
	require.ErrorContains(t, failure, "revision 4097.0: record is not a KeyValue")
}

// TestManyReaders: one DB serves several goroutines (make race watches).
func TestManyReaders(t *testing.T) {
	t.Parallel()
	db := open(t, harbour(t))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := readAll(t, db); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestMembersAndAlarms reads what harbour has none of.
func TestMembersAndAlarms(t *testing.T) {
	t.Parallel()
	path := generate(t, 50)
	edit(t, path, func(tx *bolt.Tx) error {
		return errors.Join(
			tx.Bucket([]byte("members")).Put([]byte("ff"), []byte(`{"id":255,"peerURLs":["https://10.0.0.9:2380"],"isLearner":true}`)),
			tx.Bucket([]byte("members_removed")).Put([]byte("abc"), []byte("removed")),
			tx.Bucket([]byte("alarm")).Put([]byte{0x08, 0xff, 0x01, 0x10, 0x01}, nil),
			tx.Bucket([]byte("auth")).Put([]byte("authEnabled"), []byte{1}),
		)
	})
	db := open(t, path)
	members, removed, err := db.Members()
	require.NoError(t, err)
	require.Len(t, members, 2)
	require.Equal(t, snapshot.Member{ID: 255, PeerURLs: []string{"https://10.0.0.9:2380"}, IsLearner: true}, members[0])
	require.Equal(t, "default", members[1].Name)
	require.Equal(t, []uint64{0xabc}, removed)
	alarms, err := db.Alarms()
	require.NoError(t, err)
	require.Equal(t, []snapshot.Alarm{{MemberID: 255, Alarm: "NOSPACE"}}, alarms)
	info, err := db.Info(t.Context())
	require.NoError(t, err)
	require.True(t, info.AuthEnabled)
	require.EqualValues(t, 8, info.Leases)
}

// A database out of an archive stands in a file without a name: an error does not
// name one.
func TestErrorsOfASpool(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(generate(t, 600))
	require.NoError(t, err)
	for _, where := range []snapshot.Where{snapshot.Memory, snapshot.Disk} {
		f, _, err := snapshot.Spool{Where: where, Dir: t.TempDir()}.Take(t.Context(), bytes.NewReader(data[:len(data)/2]))
		require.NoError(t, err)
		_, err = snapshot.OpenFile(t.Context(), f)
		require.ErrorIs(t, err, snapshot.ErrDamaged)
		require.Regexp(t, "^opening the database: page", err.Error())
	}
}
