package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// TestMain is also the process that a test kills: LIFEBOAT_KILL names the root
// folder, the verb and the record at which it dies.
func TestMain(m *testing.M) {
	wal.SegmentSizeBytes = segment // of what restores write, in this process and its children
	drill.Main()
	etcdproc.Main(datadir.Tasks()...)
	if text := os.Getenv("LIFEBOAT_KILL"); text != "" {
		fmt.Fprintln(os.Stderr, dieAt(text))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// segment is how much of a log is allocated ahead here: etcd takes 64 MB, which
// every run here would write, copy and sum up.
const segment = 1 << 20

// scratch is a folder in memory where there is room: each step of a run is synced
// several times.
func scratch(t testing.TB) string {
	t.Helper()
	const memory, room = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs(memory, &fs) != nil || int64(fs.Bavail)*int64(fs.Bsize) < room { //nolint:unconvert // Bsize is a uint32 elsewhere
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "lifeboat-test-") //nolint:usetesting // the tests' own folder is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// noon is when tests plan.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

var ownWorks = map[string]Work{
	"build it": func(_ context.Context, to string) error {
		if err := os.RemoveAll(to + ".part"); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(to+".part", "member", "snap"), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to+".part", "member", "snap", "new"), []byte("new data"), 0o600); err != nil {
			return err
		}
		return os.Rename(to+".part", to)
	},
	"look at it": func(_ context.Context, to string) error {
		_, err := os.Stat(filepath.Join(to, "member", "snap", "new"))
		return err
	},
}

// hostTree is a small host: manifests, a data dir behind a symbolic link.
func hostTree(t testing.TB) string {
	t.Helper()
	dir := scratch(t)
	write := func(name, content string, mode fs.FileMode) {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), mode))
		require.NoError(t, os.Chmod(name, mode))
		old := time.Date(2025, 1, 2, 3, 4, 5, 6789, time.UTC)
		require.NoError(t, os.Chtimes(name, old, old))
	}
	write("etc/hostname", "master-0\n", 0o644)
	write("etc/machine-id", "0123456789abcdef\n", 0o444)
	write("etc/kubernetes/manifests/etcd.yaml", "etcd\n", 0o600)
	write("etc/kubernetes/manifests/kube-apiserver.yaml", "one\ntwo\nthree\n", 0o640)
	write("mnt/kubernetes-data/var-lib-etcd/member/snap/old", "old data", 0o600)
	if os.Geteuid() == 0 { // an owner that no process here has
		require.NoError(t, os.Chown(filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml"), 1234, 2345))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib"), 0o755))
	require.NoError(t, os.Symlink("/mnt/kubernetes-data/var-lib-etcd", filepath.Join(dir, "var/lib/etcd")))
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chtimes(name, noon.Add(-time.Hour), noon.Add(-time.Hour))
		}
		return err
	}))
	return dir
}

func openRoot(t testing.TB, dir string) *Root {
	t.Helper()
	root, err := OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

// everything is a plan with a step of each kind.
func everything(root *Root) (*Plan, error) {
	p, err := root.newPlan("host test", noon)
	if err != nil {
		return nil, err
	}
	manifest, server := "/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/manifests/kube-apiserver.yaml"
	aside, err := p.aside(manifest)
	if err != nil {
		return nil, err
	}
	if err := p.move(manifest, aside, "etcd stops"); err != nil {
		return nil, err
	}
	out := p.plan.Steps[0]
	if err := p.edit(server, []byte("one\n2\nthree\nfour\n"), "it is to be otherwise"); err != nil {
		return nil, err
	}
	data, err := root.Resolve("/var/lib/etcd", true)
	if err != nil {
		return nil, err
	}
	p.add(Step{Kind: Wait, From: data, Why: "nobody may hold it"})
	p.add(Step{Kind: Make, To: data + "/made"})
	built := data + "/lifeboat-" + p.plan.ID
	p.add(Step{Kind: Build, To: built, Work: "build it"})
	member, err := p.bind(data + "/member")
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{data, "/etc/kubernetes"} {
		if err := p.folder(dir); err != nil {
			return nil, err
		}
	}
	p.add(Step{Kind: Swap, From: built + "/member", To: data + "/member", ID: member.ID})
	p.add(Step{Kind: Tidy, From: data + "/made"})
	p.add(Step{Kind: Wait, From: data})
	p.add(Step{Kind: Check, To: data, Work: "look at it"})
	p.moveBack(out, "etcd starts")
	return p.plan, nil
}

func quick(r *Run) *Run {
	r.Patience = Patience{Limit: time.Second, Settle: time.Millisecond}
	return r
}

// tree is what stands below a folder: names, modes, owners, times, bytes.
// Without times it says what a run leaves; with them what an undo brings back.
func tree(t testing.TB, dir string, times bool) []string {
	t.Helper()
	var lines []string
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		below, err := filepath.Rel(dir, name)
		require.NoError(t, err)
		if below == "var/lib/lifeboat" || strings.Contains(below, "/lifeboat-") && times {
			return fs.SkipDir // the journal; what an undone run had built
		}
		info, err := d.Info()
		require.NoError(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %v %d:%d", below, info.Mode(), stat.Uid, stat.Gid)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			line += fmt.Sprintf(" %x", sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(name)
			require.NoError(t, err)
			line += " -> " + to
		}
		if times && below != "var/lib" { // the journal comes into being there
			line += " " + info.ModTime().UTC().String()
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// dieAt runs a verb on a root folder and kills this process at a record.
func dieAt(text string) error {
	dir, rest, _ := strings.Cut(text, "|")
	verb, number, _ := strings.Cut(rest, "|")
	at, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	root, err := OpenRoot(dir)
	if err != nil {
		return err
	}
	run, err := startOrLoad(root)
	if err != nil {
		return err
	}
	quick(run).Observe = func(int, string) {
		if at--; at == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if verb == "undo" {
		return run.Back(context.Background(), ownWorks)
	}
	return run.Forward(context.Background(), ownWorks)
}

// startOrLoad begins the plan, or goes on with the one that was begun.
func startOrLoad(root *Root) (*Run, error) {
	id, err := Newest(root)
	if err == nil {
		return Load(root, id)
	}
	if !errors.Is(err, ErrNoRun) {
		return nil, err
	}
	plan, err := everything(root)
	if err != nil {
		return nil, err
	}
	return Begin(root, plan)
}

// killed runs a verb in a child that dies at a record; false where it came to
// its end before.
func killed(t *testing.T, dir, verb string, at int) bool {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LIFEBOAT_KILL=%s|%s|%d", dir, verb, at))
	output, err := cmd.CombinedOutput()
	require.Error(t, err, string(output)) // killed, or told that it was not
	exit := (*exec.ExitError)(nil)
	require.ErrorAs(t, err, &exit)
	if exit.ExitCode() == 1 {
		require.Contains(t, string(output), "<nil>")
	}
	return exit.ExitCode() == -1
}

// lockForTest takes the lock that a running etcd holds.
func lockForTest(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
