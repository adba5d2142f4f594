package datadir_test

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

// at is a target in a new place.
func at(path string) datadir.Target { return datadir.Target{Path: path, Now: time.Unix(1e9, 0)} }

// one is the options for a cluster of one.
func one(path string, peer url.URL) datadir.RestoreOptions {
	return datadir.RestoreOptions{
		Members:        []datadir.NewMember{{Name: "one", PeerURLs: []string{peer.String()}, Target: at(path)}},
		InitialCluster: "one=" + peer.String(),
	}
}

func restore(t testing.TB, r *datadir.Replay, opts datadir.RestoreOptions) (*datadir.Restored, error) {
	t.Helper()
	plan, err := datadir.PlanRestore(t.Context(), database(t, r), r.File, opts)
	if err != nil {
		return nil, err
	}
	return plan.Run(t.Context())
}

// A survivor of harbour becomes a cluster of one, with all that was
// acknowledged, and a real etcd serves it.
func TestRestoredDirStarts(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-2"], datadir.ReplayOptions{})
	dir, peer := filepath.Join(t.TempDir(), "etcd"), loopback(t)
	opts := one(dir, peer)
	opts.Bump = 1000
	result, err := restore(t, whole, opts)
	require.NoError(t, err)
	require.EqualValues(t, 2486, result.NewRevision)
	require.Len(t, result.Boots, 1)

	s := survey(t, dir)
	require.Equal(t, "3.7.0", s.Info.StorageVersion)
	require.NotEqual(t, whole.Survivor.Log.ClusterID, s.Log.ClusterID, "the old members cannot come back")
	require.NoFileExists(t, dir+".part")

	e := start(t, etcdConfig("one", dir, peer))
	c := ready(t, e.Server)
	got, err := c.Get(t.Context(), walTail)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.EqualValues(t, 2486, got.Header.Revision)
	works(t, c)

	// A watch from before the bump is told to read anew.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w := <-c.Watch(ctx, "/registry", withRev(1490)...)
	require.EqualValues(t, 2486, w.CompactRevision)
}

// Three members restored from one source find each other and elect.
func TestRestoredMembersElect(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-0"], datadir.ReplayOptions{})
	root := t.TempDir()
	opts := datadir.RestoreOptions{Token: "three", NoBootCheck: true}
	peers := map[string]url.URL{}
	for _, name := range []string{"a", "b", "c"} {
		peers[name] = loopback(t)
		opts.Members = append(opts.Members, datadir.NewMember{
			Name: name, PeerURLs: []string{"http://" + peers[name].Host}, Target: at(filepath.Join(root, name)),
		})
		if opts.InitialCluster != "" {
			opts.InitialCluster += ","
		}
		opts.InitialCluster += name + "=" + opts.Members[len(opts.Members)-1].PeerURLs[0]
	}
	_, err := restore(t, whole, opts)
	require.NoError(t, err)
	for name, peer := range peers {
		e := start(t, etcdConfig(name, filepath.Join(root, name), peer))
		if name == "a" {
			defer func() { works(t, ready(t, e.Server)) }()
		}
	}
}

// Keys are dropped as etcd deletes them.
func TestDrop(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	dir := filepath.Join(t.TempDir(), "etcd")
	opts := one(dir, loopback(t))
	opts.Drop = [][]byte{[]byte(walTail)}
	result, err := restore(t, whole, opts)
	require.NoError(t, err)
	require.EqualValues(t, 1487, result.NewRevision)
	require.EqualValues(t, 621, result.Keys)
	db, err := snapshot.Open(t.Context(), open(t, dir).Database())
	require.NoError(t, err)
	defer db.Close()
	require.NotContains(t, keys(t, db), walTail)

	opts = one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
	opts.Drop = [][]byte{[]byte("/no/such/key")}
	_, err = restore(t, whole, opts)
	require.ErrorContains(t, err, "0 of 1 keys")
	require.NoDirExists(t, opts.Members[0].Target.Path)
	require.NoDirExists(t, opts.Members[0].Target.Path+".part")
}

// What stands at the target is never overwritten, and moved aside on demand.
func TestTargets(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	root := t.TempDir()
	dir := filepath.Join(root, "etcd")
	opts := one(dir, loopback(t))
	opts.NoBootCheck = true
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "member"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "member", "mine"), []byte("mine"), 0o600))
	_, err := restore(t, whole, opts)
	require.ErrorIs(t, err, fs.ErrExist)

	opts.Members[0].Target.Replace = true
	require.NoError(t, os.Chmod(dir, 0o750))
	result, err := restore(t, whole, opts)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(result.Members[0].Aside, "member", "mine"))
	require.FileExists(t, open(t, dir).Database())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o750), info.Mode().Perm(), "as the one it replaces")

	// An empty folder may be a mount point: it stays, with what it is.
	empty := filepath.Join(root, "mount")
	require.NoError(t, os.MkdirAll(filepath.Join(empty, "lost+found"), 0o700))
	before, err := os.Stat(empty)
	require.NoError(t, err)
	opts = one(empty, loopback(t))
	opts.NoBootCheck = true
	_, err = restore(t, whole, opts)
	require.NoError(t, err)
	after, err := os.Stat(empty)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.FileExists(t, open(t, empty).Database())
	require.NoDirExists(t, filepath.Join(empty, "member.part"))

	// A folder of somebody's that has the name of our build is left alone; a
	// build of a killed run is removed.
	dir = filepath.Join(root, "other")
	require.NoError(t, os.MkdirAll(dir+".part", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir+".part", "mine"), nil, 0o600))
	opts = one(dir, loopback(t))
	opts.NoBootCheck = true
	_, err = restore(t, whole, opts)
	require.ErrorIs(t, err, fs.ErrExist)
	require.FileExists(t, filepath.Join(dir+".part", "mine"))
	require.NoError(t, os.WriteFile(filepath.Join(dir+".part", ".lifeboat-part"), nil, 0o600))
	_, err = restore(t, whole, opts)
	require.NoError(t, err)
}

// The log in a folder of its own, as with etcd's --wal-dir.
func TestWALDir(t *testing.T) {
	t.Parallel()
	whole := replay(t, harbour(t)["etcd-1"], datadir.ReplayOptions{})
	root, peer := t.TempDir(), loopback(t)
	dir, log := filepath.Join(root, "etcd"), filepath.Join(root, "log")
	opts := one(dir, peer)
	opts.Members[0].WALDir = log
	_, err := restore(t, whole, opts)
	require.NoError(t, err)
	require.NoDirExists(t, open(t, dir).WAL())
	cfg := etcdConfig("one", dir, peer)
	cfg.WalDir = log
	works(t, ready(t, start(t, cfg).Server))

	_, err = restore(t, whole, opts)
	require.ErrorIs(t, err, fs.ErrExist)
}

// etcdutl's restore keeps alarms, under the ids of members that are gone, and
// every write fails. This one does not.
func TestGhostAlarm(t *testing.T) {
	t.Parallel()
	source := harbour(t)["etcd-1"]
	db, err := bolt.Open(open(t, source).Database(), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		// AlarmMember{memberID: 1, alarm: NOSPACE}, as etcd writes it.
		return tx.Bucket([]byte("alarm")).Put([]byte{0x08, 0x01, 0x10, 0x01}, nil)
	}))
	require.NoError(t, db.Close())
	whole := replay(t, source, datadir.ReplayOptions{})
	require.NotEqual(t, int64(1486), whole.Revision, "with the alarm, etcd would have refused wal-tail")

	dir, peer := filepath.Join(t.TempDir(), "etcd"), loopback(t)
	result, err := restore(t, whole, one(dir, peer))
	require.NoError(t, err)
	require.Equal(t, 1, result.Alarms)
	works(t, ready(t, start(t, etcdConfig("one", dir, peer)).Server))
}

// A member of a single-member cluster, killed: every write that was
// acknowledged is there, and all of it is proven.
func TestKilledSingle(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	crash(t, dir, 300)
	r := replay(t, dir, datadir.ReplayOptions{})
	require.EqualValues(t, 301, r.Revision)
	require.NotZero(t, r.Entries())
	require.Empty(t, r.Unproven, "its own log is a majority of one")
	require.Equal(t, "299", keys(t, database(t, r))["/k/5"])
}

// A compaction may take the newest records, where those were deletions; the
// bump counts from the revision all the same.
func TestBumpBehindCompaction(t *testing.T) {
	t.Parallel()
	source := harbour(t)["etcd-1"]
	editDatabase(t, source, func(tx *bolt.Tx) error {
		// As after a deletion at revision 5000, compacted by an etcd before 3.5.16.
		return tx.Bucket([]byte("meta")).Put([]byte("finishedCompactRev"), append(append([]byte{0, 0, 0, 0, 0, 0, 0x13, 0x88}, '_'), make([]byte, 8)...))
	})
	whole := replay(t, source, datadir.ReplayOptions{CommittedOnly: true})
	require.EqualValues(t, 5000, whole.Revision)
	opts := one(filepath.Join(t.TempDir(), "etcd"), loopback(t))
	opts.Bump = 1000
	result, err := restore(t, whole, opts)
	require.NoError(t, err)
	require.EqualValues(t, 6000, result.NewRevision)
	require.EqualValues(t, 6000, result.Boots[0].Revision)
}
