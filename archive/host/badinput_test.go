package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

const recordsOf = "var/lib/lifeboat/journal/20261128T120000Z/records"

// A journal that ends in the middle of a record: that record does not count, and
// its step is done again.
func TestJournalCutWithinARecord(t *testing.T) {
	t.Parallel()
	reference := hostTree(t)
	whole(t, reference)
	done := tree(t, reference, false)
	for _, lines := range []int{1, 6, 13, 20} {
		dir := hostTree(t)
		before := tree(t, dir, true)
		root := whole(t, dir)
		name := filepath.Join(dir, recordsOf)
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		end := len(bytes.Join(bytes.SplitAfter(data, []byte("\n"))[:lines], nil))
		require.NoError(t, os.Truncate(name, int64(end+7)))

		id, err := Unfinished(root)
		require.NoError(t, err)
		require.Equal(t, "20261128T120000Z", id)
		whole(t, dir)
		require.Equal(t, done, tree(t, dir, false), "cut in line %d", lines+1)
		back(t, root)
		require.Equal(t, before, tree(t, dir, true), "cut in line %d", lines+1)
	}
}

// A journal of a newer lifeboat, and one with a step that nobody knows, are not
// gone on with and not passed over.
func TestJournalOfAnotherFormat(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string
		want     error
	}{
		"newer":           {`"format":1`, `"format":2`, ErrNewer},
		"an unknown step": {`"kind":"tidy"`, `"kind":"burn"`, os.ErrInvalid},
	} {
		dir := hostTree(t)
		root := whole(t, dir)
		file := filepath.Join(dir, "var/lib/lifeboat/journal/20261128T120000Z/plan.json")
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(data), tc.old)
		require.NoError(t, os.WriteFile(file, bytes.Replace(data, []byte(tc.old), []byte(tc.new), 1), 0o600))
		_, err = Load(root, "20261128T120000Z")
		require.ErrorIs(t, err, tc.want, name)
		_, err = Unfinished(root)
		require.ErrorIs(t, err, ErrUnfinished, name)
		require.ErrorContains(t, err, "move "+filepath.Dir(file)+" out of the journal")
	}
}

// The clock was set back between two runs: the newest is the one that was begun
// last, whatever its id says.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	first, err := look(t, root).PlanQuota(noon, QuotaOptions{Double: true})
	require.NoError(t, err)
	carryOut(t, root, first, nil)
	between := tree(t, dir, true)
	second, err := look(t, root).PlanQuota(noon.Add(-time.Hour), QuotaOptions{Double: true})
	require.NoError(t, err)
	require.Less(t, second.ID, first.ID)
	carryOut(t, root, second, nil)

	id, err := Newest(root)
	require.NoError(t, err)
	require.Equal(t, second.ID, id)
	back(t, root)
	require.Equal(t, between, tree(t, dir, true))
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
}

// kubelet starts etcd again and again: what lets go for a moment has not stopped.
func TestWaitUntilItSettles(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	f, err := os.OpenFile(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/db"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, lockForTest(f))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for { // held for half a second, free for longer
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
			}
			_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
			time.Sleep(700 * time.Millisecond)
			_ = lockForTest(f)
		}
	}()
	run := &Run{root: openRoot(t, dir), Patience: Patience{Limit: 3 * time.Second, Settle: time.Hour}}
	err = doWait(context.Background(), run, Step{Kind: Wait, From: "/mnt/kubernetes-data/var-lib-etcd"})
	require.ErrorIs(t, err, snapshot.ErrInUse)
	close(stop)
	<-stopped
}

// The alarm of a cluster of one goes with its data dir, and comes back with it.
func TestQuotaDisarm(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	root := openRoot(t, dir)
	s := look(t, root)
	plan, err := s.PlanRebuild(noon, false)
	require.NoError(t, err)
	carryOut(t, root, plan, s.RestoreWorks(RestoreOptions{NoBootCheck: true}, opener(root.Path(s.DataDir.Real))))
	alarm(t, filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/db"))
	before := tree(t, dir, true)

	s = look(t, root)
	require.Len(t, s.DataDir.Alarms, 1)
	a, err := s.Assess(noon, "")
	require.NoError(t, err)
	require.Equal(t, "the database exceeds its quota", a.Case)
	require.Contains(t, a.Next[0], "quota --double --root "+dir+"   first")
	plan, err = s.PlanQuota(noon, QuotaOptions{Double: true, Disarm: true})
	require.NoError(t, err)
	require.True(t, plan.Severe)
	carryOut(t, root, plan, s.RestoreWorks(RestoreOptions{NoBootCheck: true}, opener(root.Path(s.DataDir.Real))))
	s = look(t, root)
	require.Empty(t, s.DataDir.Alarms)
	require.True(t, s.Alone())
	quota, set := s.Quota()
	require.True(t, set)
	require.Equal(t, int64(4<<30), quota)
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
	require.Len(t, look(t, root).DataDir.Alarms, 1)
}

// alarm raises NOSPACE in a database, as etcd stores it.
func alarm(t testing.TB, database string) {
	t.Helper()
	key, err := proto.Marshal(&etcdserverpb.AlarmMember{MemberID: 7, Alarm: etcdserverpb.AlarmType_NOSPACE})
	require.NoError(t, err)
	db, err := bolt.Open(database, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("alarm"))
		return errors.Join(err, b.Put(key, nil))
	}))
	require.NoError(t, db.Close())
}

// Variables that kubelet fills in, and ETCD_ variables that stand beside the
// flags, count as etcd has them.
func TestQuotaOfVariables(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	manifest := filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml")
	for name, tc := range map[string]struct {
		env, flag string
		quota     int64
		set       bool
	}{
		"a variable of etcd":           {"{name: ETCD_QUOTA_BACKEND_BYTES, value: '8589934592'}", "--name=m", 8 << 30, true},
		"a flag overrides it":          {"{name: ETCD_QUOTA_BACKEND_BYTES, value: '8589934592'}", "--quota-backend-bytes=1073741824", 1 << 30, true},
		"a variable within a flag":     {"{name: Q, value: '3221225472'}", "--quota-backend-bytes=$(Q)", 3 << 30, true},
		"one that kubelet alone knows": {"{name: Q, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}", "--quota-backend-bytes=$(Q)", 0, true},
	} {
		text := fmt.Sprintf("kind: Pod\nspec:\n  containers:\n  - name: etcd\n    env: [%s]\n    command: [etcd, --data-dir=/var/lib/etcd, %s]\n", tc.env, tc.flag)
		require.NoError(t, os.WriteFile(manifest, []byte(text), 0o600))
		s := look(t, openRoot(t, dir))
		quota, set := s.Quota()
		require.Equal(t, tc.quota, quota, name)
		require.Equal(t, tc.set, set, name)
		_, err := s.PlanQuota(noon, QuotaOptions{Double: true})
		if tc.quota == 0 {
			require.ErrorIs(t, err, ErrRefused, name)
			_, err = s.PlanQuota(noon, QuotaOptions{Set: 4 << 30})
		}
		require.NoError(t, err, name)
	}
}

// kubelet runs every file of the folder: nothing is planned while two run the same.
func TestRivals(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	manifests := filepath.Join(dir, "etc/kubernetes/manifests")
	data, err := os.ReadFile(filepath.Join(manifests, "etcd.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(manifests, "etcd.yaml.bak"), data, 0o600))
	s := look(t, openRoot(t, dir))
	_, err = s.PlanEtcdOff(noon)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "/etc/kubernetes/manifests/etcd.yaml.bak runs the same")
	require.NoError(t, os.Rename(filepath.Join(manifests, "etcd.yaml.bak"), filepath.Join(manifests, ".etcd.yaml.bak")))
	_, err = look(t, openRoot(t, dir)).PlanEtcdOff(noon)
	require.NoError(t, err, "kubelet passes over names that begin with a dot")
}

// A log on a disk of its own is looked at there, and not left behind a new data dir.
func TestLogOnADiskOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	require.NoError(t, os.Rename(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/wal"), filepath.Join(dir, "mnt/wal")))
	manifest := filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml")
	data, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(manifest, bytes.Replace(data, []byte("    - etcd\n"), []byte("    - etcd\n    - --wal-dir=/mnt/wal\n"), 1), 0o600))
	s := look(t, openRoot(t, dir))
	require.Empty(t, s.DataDir.Survivor.Damage())
	_, err = s.PlanRestore(noon, harbourArchive, RestoreOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "--src-wal-dir "+filepath.Join(dir, "mnt/wal"))
	_, err = s.PlanRebuild(noon, false)
	require.ErrorIs(t, err, ErrRefused)
}

// etcd is started again while the new data dir is built, as a controller does that
// puts the manifest back: its data is not taken away under it.
func TestEtcdStartsWhileDataIsBuilt(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	root := openRoot(t, dir)
	s := look(t, root)
	options := RestoreOptions{NoBootCheck: true}
	plan, err := s.PlanRestore(noon, harbourArchive, options)
	require.NoError(t, err)
	works := s.RestoreWorks(options, opener(harbourArchive))
	build := works[WorkRestore]
	f, err := os.OpenFile(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/db"), os.O_RDWR, 0)
	require.NoError(t, err)
	works[WorkRestore] = func(ctx context.Context, to string) error {
		return errors.Join(build(ctx, to), lockForTest(f))
	}
	before, err := os.Stat(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member"))
	require.NoError(t, err)
	run, err := Begin(root, plan)
	require.NoError(t, err)
	require.ErrorIs(t, quick(run).Forward(t.Context(), works), snapshot.ErrInUse)
	now, err := os.Stat(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, now))
	require.NoError(t, f.Close(), "it has stopped")
	require.NoError(t, run.Forward(t.Context(), works))
	require.NoError(t, run.Close())
	require.True(t, look(t, root).Alone())
}

// What is no file, and no folder, is named where it stands; nothing is stopped for a
// data dir that cannot be one, or that cannot be rebuilt.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	dir := master(t, "etcd-0")
	manifests := filepath.Join(dir, "etc/kubernetes/manifests")
	data := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd")
	saved := filepath.Join(dir, "saved.yaml")
	require.NoError(t, os.Rename(filepath.Join(manifests, "etcd.yaml"), saved))
	assess := func() string {
		a, err := look(t, openRoot(t, dir)).Assess(noon, "")
		require.NoError(t, err)
		return fmt.Sprint(a.Case, a.Checks, a.Next)
	}
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(manifests, "etcd.yaml")))
	require.Contains(t, assess(), `"/etc/kubernetes/manifests/etcd.yaml" leads nowhere`)
	require.Contains(t, assess(), "put etcd's manifest back to "+manifests)
	require.NoError(t, os.Remove(filepath.Join(manifests, "etcd.yaml")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(manifests, "etcd.yaml"), 0o600))
	require.Contains(t, assess(), `"/etc/kubernetes/manifests/etcd.yaml" leads nowhere, or is not what`)
	require.NoError(t, os.Remove(filepath.Join(manifests, "etcd.yaml")))
	require.NoError(t, os.Rename(saved, filepath.Join(manifests, "etcd.yaml")))

	require.NoError(t, os.Truncate(filepath.Join(data, "member/snap/db"), 9000))
	s := look(t, openRoot(t, dir))
	_, err := s.PlanRebuild(noon, false)
	require.ErrorIs(t, err, snapshot.ErrDamaged)
	require.ErrorContains(t, err, "--peer-dir")
	_, err = s.PlanRebuild(noon, true)
	require.NoError(t, err)

	require.NoError(t, os.RemoveAll(data))
	require.NoError(t, os.WriteFile(data, []byte("x"), 0o600))
	require.Contains(t, assess(), "var-lib-etcd is no folder")
	_, err = look(t, openRoot(t, dir)).PlanRestore(noon, harbourArchive, RestoreOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "is no folder")

	require.NoError(t, os.RemoveAll(manifests))
	require.NoError(t, os.WriteFile(manifests, []byte("x"), 0o600))
	require.Contains(t, assess(), `"/etc/kubernetes/manifests" leads nowhere, or is not what has to stand there`)
}
