package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// whole runs the plan to its end, in this process.
func whole(t testing.TB, dir string) *Root {
	t.Helper()
	root := openRoot(t, dir)
	run, err := startOrLoad(root)
	require.NoError(t, err)
	if run.Status() == Begun {
		require.NoError(t, quick(run).Forward(context.Background(), ownWorks))
	}
	require.NoError(t, run.Close())
	return root
}

func back(t testing.TB, root *Root) {
	t.Helper()
	id, err := Newest(root)
	require.NoError(t, err)
	run, err := Load(root, id)
	require.NoError(t, err)
	require.NoError(t, quick(run).Back(context.Background(), ownWorks))
	require.NoError(t, run.Close())
}

func TestRunAndUndo(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	before := tree(t, dir, true)
	root := whole(t, dir)

	data, err := os.ReadFile(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/new"))
	require.NoError(t, err)
	require.Equal(t, "new data", string(data))
	old := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/lifeboat-20261128T120000Z/member/snap/old")
	require.FileExists(t, old, "what was replaced is kept")
	info, err := os.Stat(filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode(), "the edited file has the old one's mode")

	entries, err := History(root)
	require.NoError(t, err)
	require.Equal(t, []Entry{{ID: "20261128T120000Z", Number: 1, Verb: "host test", Host: "master-0", Status: Done, Steps: 10, Reached: 10}}, entries)

	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
	_, err = Newest(root)
	require.ErrorIs(t, err, ErrNoRun)
}

// SIGKILL after every step, before and after it is noted: going on leaves the tree
// of a run that nobody killed, undoing the tree of before. Records that come in
// between are TestCutOffAtEveryRecord's.
func TestKilledAfterEveryStep(t *testing.T) {
	t.Parallel()
	reference := hostTree(t)
	whole(t, reference)
	done := tree(t, reference, false)
	for step := range 10 {
		for at := 4*step + 3; at <= 4*step+4; at++ {
			t.Run(strconv.Itoa(at), func(t *testing.T) {
				t.Parallel()
				for _, how := range []string{"gone on with", "undone"} {
					dir := hostTree(t)
					before := tree(t, dir, true)
					require.True(t, killed(t, dir, "run", at))
					root := openRoot(t, dir)
					if how == "gone on with" {
						whole(t, dir)
						require.Equal(t, done, tree(t, dir, false), "killed at %d", at)
					}
					back(t, root)
					require.Equal(t, before, tree(t, dir, true), "killed at %d, %s", at, how)
				}
			})
		}
	}
}

// An undo that is killed after a step is gone on with.
func TestUndoKilledAfterEveryStep(t *testing.T) {
	t.Parallel()
	for step := range 10 {
		at := 2 + 2*step + 1 // the record that an undo begins with, one for each step
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			dir := hostTree(t)
			before := tree(t, dir, true)
			root := whole(t, dir)
			require.True(t, killed(t, dir, "undo", at))
			back(t, root)
			require.Equal(t, before, tree(t, dir, true), "killed at %d", at)
		})
	}
}

// The host changes between plan and run: nothing is touched.
func TestFactsChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"a manifest is edited": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"), []byte("other\n"), 0o600)
		},
		"a manifest gets another mode": func(dir string) error {
			return os.Chmod(filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"), 0o644)
		},
		"a manifest is gone": func(dir string) error {
			return os.Remove(filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml"))
		},
		"the data dir grows": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/member/snap/old"), []byte("old data and more"), 0o600)
		},
	} {
		dir := hostTree(t)
		root := openRoot(t, dir)
		plan, err := everything(root)
		require.NoError(t, err)
		require.NoError(t, change(dir))
		before := tree(t, dir, true)
		_, err = Begin(root, plan)
		require.ErrorIs(t, err, ErrChanged, name)
		require.Equal(t, before, tree(t, dir, true), name)
		entries, err := History(root)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

// What was changed after the run is not undone over, and an undo that cannot come to
// its end is not begun.
func TestUndoRefusesWhatChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(name string) error{
		"kube-apiserver.yaml": func(name string) error { return os.WriteFile(name, []byte("a person's\n"), 0o600) },
		"etcd.yaml": func(name string) error {
			return errors.Join(os.WriteFile(name+".new", []byte("a controller's\n"), 0o600), os.Rename(name+".new", name))
		},
	} {
		dir := hostTree(t)
		root := whole(t, dir)
		require.NoError(t, change(filepath.Join(dir, "etc/kubernetes/manifests", name)))
		before := tree(t, dir, true)
		run, err := Load(root, "20261128T120000Z")
		require.NoError(t, err)
		err = quick(run).Back(context.Background(), ownWorks)
		require.ErrorIs(t, err, ErrChanged)
		require.ErrorContains(t, err, name)
		require.Equal(t, Done, run.Status(), "nothing stands in the way of other runs")
		require.ErrorIs(t, run.Abandon(), ErrNothingToDo)
		require.NoError(t, run.Close())
		require.Equal(t, before, tree(t, dir, true))
	}
}

// A run that was cut off, and can neither go on nor back, is closed as it stands.
func TestAbandon(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := openRoot(t, dir)
	plan, err := everything(root)
	require.NoError(t, err)
	run, err := Begin(root, plan)
	require.NoError(t, err)
	require.True(t, cutOff(t, run, 8, run.Forward, ownWorks))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"), []byte("a controller's\n"), 0o600))
	before := tree(t, dir, true)
	run, err = Load(root, plan.ID)
	require.NoError(t, err)
	require.ErrorIs(t, run.Back(context.Background(), ownWorks), ErrChanged)
	require.Equal(t, Going, run.Status())
	require.NoError(t, run.Abandon())
	require.ErrorIs(t, run.Forward(context.Background(), ownWorks), ErrNothingToDo)
	require.ErrorIs(t, run.Back(context.Background(), ownWorks), ErrNothingToDo)
	require.NoError(t, run.Close())
	open, err := Unfinished(root)
	require.NoError(t, err)
	require.Empty(t, open)
	_, err = Newest(root)
	require.ErrorIs(t, err, ErrNoRun)
	require.NotEqual(t, before, tree(t, dir, true), "the undo had begun: the edit went back")
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := openRoot(t, dir)
	plan, err := everything(root)
	require.NoError(t, err)
	run, err := Begin(root, plan)
	require.NoError(t, err)

	again, err := everything(root)
	require.NoError(t, err)
	require.Equal(t, "20261128T120000Z-2", again.ID, "two within a second")
	_, err = Begin(root, again)
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, run.Close())
	_, err = Begin(root, again)
	require.ErrorIs(t, err, ErrUnfinished)
	_, err = Load(root, "20261128T120000Z-7")
	require.ErrorIs(t, err, ErrNoRun)
	_, err = Load(root, "../../../etc")
	require.ErrorIs(t, err, ErrNoRun)
}

func TestJournalOfAnotherHost(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := whole(t, dir)
	before := tree(t, dir, true)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etc/hostname"), []byte("master-1\n"), 0o644))
	_, err := Load(root, "20261128T120000Z")
	require.ErrorIs(t, err, ErrOtherHost)
	require.ErrorContains(t, err, `"master-0"`)
	require.Len(t, before, len(tree(t, dir, true)))
}

// A journal that nobody can read stops the next run.
func TestJournalDamaged(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := whole(t, dir)
	plan := filepath.Join(dir, "var/lib/lifeboat/journal/20261128T120000Z/plan.json")
	require.NoError(t, os.Truncate(plan, 100))
	_, err := Load(root, "20261128T120000Z")
	require.Error(t, err)
	again, err := everything(openRoot(t, hostTree(t)))
	require.NoError(t, err)
	_, err = Begin(root, again)
	require.ErrorIs(t, err, ErrUnfinished)
	entries, err := History(root)
	require.NoError(t, err)
	require.NotEmpty(t, entries[0].Problem)
}

// No link leads out of the root folder.
func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	dir := hostTree(t)
	root := openRoot(t, dir)
	link := func(to, name string) {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	link("../../../../../../etc", "up")
	link("/etc/kubernetes", "absolute")
	link("loop", "loop")
	for name, want := range map[string]string{
		"/up/hostname":                  "/etc/hostname",
		"/absolute/manifests/etcd.yaml": "/etc/kubernetes/manifests/etcd.yaml",
		"/var/lib/etcd/member":          "/mnt/kubernetes-data/var-lib-etcd/member",
		"/nothing/there":                "/nothing/there",
		"/../../etc":                    "/etc",
	} {
		got, err := root.Resolve(name, true)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	got, err := root.Resolve("/var/lib/etcd", false)
	require.NoError(t, err)
	require.Equal(t, "/var/lib/etcd", got)
	_, err = root.Resolve("/loop/x", true)
	require.ErrorIs(t, err, syscall.ELOOP)
	_, err = root.readFile("/up/passwd", 1<<20)
	require.Error(t, err, "os.Root refuses what Resolve would not have given")
}
