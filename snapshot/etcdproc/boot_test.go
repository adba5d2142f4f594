package etcdproc_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// store marshals a message into a bucket.
func store(tx *bolt.Tx, bucket string, key []byte, m proto.Message) error {
	value, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucket)).Put(key, value)
}

// What a restored etcd would trip over is gone: an alarm of the old cluster
// (every write is refused), authentication (every read is), a lease that runs
// out (its keys are deleted), a downgrade under way (etcd ends itself).
func TestQuietsTheCopy(t *testing.T) {
	t.Parallel()
	const leaseID = 0x7e57
	file := bare(t, harbour(t))
	change(t, file, func(tx *bolt.Tx) error {
		alarm, err := proto.Marshal(&etcdserverpb.AlarmMember{MemberID: 1, Alarm: etcdserverpb.AlarmType_CORRUPT})
		if err != nil {
			return err
		}
		if err := tx.Bucket([]byte("alarm")).Put(alarm, nil); err != nil {
			return err
		}
		if err := tx.Bucket([]byte("auth")).Put([]byte("authEnabled"), []byte{1}); err != nil {
			return err
		}
		if err := store(tx, "authUsers", []byte("root"), &authpb.User{Name: []byte("root"), Roles: []string{"root"}}); err != nil {
			return err
		}
		if err := store(tx, "authRoles", []byte("root"), &authpb.Role{Name: []byte("root")}); err != nil {
			return err
		}
		if err := store(tx, "lease", binary.BigEndian.AppendUint64(nil, leaseID), &leasepb.Lease{ID: leaseID, TTL: 1}); err != nil {
			return err
		}
		if err := tx.Bucket([]byte("cluster")).Put([]byte("downgrade"), []byte(`{"target-version":"3.6.0","enabled":true}`)); err != nil {
			return err
		}
		return put(tx, harbourRevision+1, &mvccpb.KeyValue{Key: []byte("/registry/leased"), Value: []byte("v"), Lease: leaseID})
	})
	before := digest(t, file)
	p := start(t, file)

	// etcd looks for leases that ran out every half second.
	time.Sleep(2500 * time.Millisecond)
	require.ErrorIs(t, readError(t, p, harbourRevision+2), snapshot.ErrFutureRevision, "nothing expires")

	got := read(t, p, 0, nil)
	require.Equal(t, direct(t, file, harbourRevision+1), got)
	require.EqualValues(t, leaseID, got["/registry/leased"].Lease, "the record still names its lease")
	require.Equal(t, before, digest(t, file), "the source keeps them all")
}

func TestOldFormats(t *testing.T) {
	t.Parallel()
	file := bare(t, harbour(t))
	change(t, file, func(tx *bolt.Tx) error { // as etcd 3.4 leaves it
		for _, key := range []string{"storageVersion", "term", "confState"} {
			if err := tx.Bucket([]byte("meta")).Delete([]byte(key)); err != nil {
				return err
			}
		}
		if err := tx.Bucket([]byte("cluster")).Put([]byte("clusterVersion"), []byte("3.4.0")); err != nil {
			return err
		}
		return tx.DeleteBucket([]byte("alarm"))
	})
	require.Len(t, read(t, start(t, file), 0, nil), harbourKeys)
}

func TestRefusesNewer(t *testing.T) {
	t.Parallel()
	for bucket, key := range map[string]string{"meta": "storageVersion", "cluster": "clusterVersion"} {
		file := bare(t, harbour(t))
		change(t, file, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte("3.99.0"))
		})
		dir := t.TempDir()
		_, err := boot(t, file, dir)
		require.ErrorIs(t, err, etcdproc.ErrNewer)
		require.ErrorContains(t, err, "starting etcd on a copy: quieting the copy: ")
		require.ErrorContains(t, err, "version 3.99.0 is beyond 3.7")
		requireEmpty(t, dir)
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(harbour(t))
	require.NoError(t, err)
	half := len(whole) / 2
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":     {nil, snapshot.ErrNotDatabase},
		"text":      {[]byte("No help topic for 'save'\n"), snapshot.ErrNotDatabase},
		"zeroes":    {make([]byte, 1<<20), snapshot.ErrNotDatabase},
		"truncated": {whole[:half-half%4096], snapshot.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/db"
			require.NoError(t, os.WriteFile(file, c.data, 0o600))
			dir := t.TempDir()
			_, err := boot(t, file, dir)
			require.ErrorIs(t, err, c.want)
			requireEmpty(t, dir)
		})
	}
}

// A record that is no record: etcd itself ends its process over it, and its
// last words are the error.
func TestEtcdGivesUp(t *testing.T) {
	t.Parallel()
	file := bare(t, harbour(t))
	change(t, file, func(tx *bolt.Tx) error {
		key, _ := tx.Bucket([]byte("key")).Cursor().Last()
		return tx.Bucket([]byte("key")).Put(key, []byte("\xffSECRET"))
	})
	dir := t.TempDir()
	_, err := boot(t, file, dir)
	var died *etcdproc.DiedError
	require.ErrorAs(t, err, &died)
	require.Equal(t, "booting", died.Phase)
	require.ErrorContains(t, err, "starting etcd on a copy: booting: etcd ended with exit status")
	require.ErrorContains(t, err, "unmarshal")
	require.NotContains(t, err.Error(), "SECRET")
	requireEmpty(t, dir)
}

// Flipped bits: there is an error, or both engines read the same; within the
// time that a test has, and nothing stays behind.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(bare(t, harbour(t)))
	require.NoError(t, err)
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	file, dir := t.TempDir()+"/db", t.TempDir()
	for round := range 12 * soak(t) {
		data := append([]byte(nil), whole...)
		if round%2 == 0 { // page headers, where it hurts
			for range 1 + random.IntN(4) {
				data[random.IntN(len(data)/4096)*4096+random.IntN(64)] ^= 1 << random.IntN(8)
			}
		} else { // anywhere, and mostly in free pages and values
			data[random.IntN(len(data))] ^= 1 << random.IntN(8)
		}
		require.NoError(t, os.WriteFile(file, data, 0o600))
		before := digest(t, file)
		if p, err := boot(t, file, dir); err == nil {
			byEtcd, err := collect(t, p)
			if err == nil { // then the other engine says the same, or that it is damaged
				db, err := snapshot.Open(t.Context(), file)
				require.NoError(t, err, "it was opened before etcd was")
				byHand, err := collect(t, db)
				require.True(t, err != nil || mapsEqual(byHand, byEtcd), "seed %d, round %d", seed, round)
				require.NoError(t, db.Close())
			}
			require.NoError(t, p.Close())
		}
		requireEmpty(t, dir)
		require.Equal(t, before, digest(t, file))
	}
}

// collect reads the newest revision of what may be damaged.
func collect(t *testing.T, r snapshot.Reader) (map[string]record, error) {
	t.Helper()
	got := map[string]record{}
	for kv, err := range r.At(t.Context(), 0, nil) {
		if err != nil {
			return nil, err
		}
		got[string(kv.Key)] = recordOf(kv)
	}
	return got, nil
}

// soak is the factor for the loops of random tests.
func soak(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LIFEBOAT_SOAK")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
