package host

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, options)
	return dir
}

// fill takes all of the room.
func fill(t *testing.T, name string) {
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			return
		}
	}
}

// The disk is full from some step on: an error that says so, and after somebody
// has made room the run is gone on with or undone. Undoing needs no room.
func TestDiskFullAtEveryRecord(t *testing.T) {
	t.Parallel()
	small := mount(t, "size=2m")
	reference := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.CopyFS(reference, os.DirFS(hostTree(t))))
	whole(t, reference)
	done := tree(t, reference, false)
	failed := 0
	for at := 1; at <= 42; at++ {
		dir := filepath.Join(small, "root")
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.CopyFS(dir, os.DirFS(hostTree(t))))
		before := tree(t, dir, true)
		root := openRoot(t, dir)
		plan, err := everything(root)
		require.NoError(t, err)
		run, err := Begin(root, plan)
		require.NoError(t, err)
		n := 0
		run.Observe = func(int, string) {
			if n++; n == at {
				fill(t, filepath.Join(small, "ballast"))
			}
		}
		err = quick(run).Forward(context.Background(), ownWorks)
		if err != nil {
			failed++
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
		if at%2 == 0 {
			require.NoError(t, os.Remove(filepath.Join(small, "ballast")))
			if err != nil {
				require.NoError(t, run.Forward(context.Background(), ownWorks))
			}
			require.Equal(t, done, tree(t, dir, false), "full at %d, gone on with", at)
		}
		run.Observe = nil
		require.NoError(t, run.Back(context.Background(), ownWorks), "undone on a full disk, %d", at)
		require.Equal(t, before, tree(t, dir, true), "full at %d", at)
		require.NoError(t, run.Close())
		_ = os.Remove(filepath.Join(small, "ballast"))
	}
	require.Greater(t, failed, 3, "the disk was full where it mattered")
}

// The disk is full while the data dir is built: the restore says so, nothing of
// the build is left, and an undo needs no room.
func TestRestoreOnFullDisk(t *testing.T) {
	t.Parallel()
	small := mount(t, "size=200m")
	dir := filepath.Join(small, "root")
	require.NoError(t, os.Mkdir(dir, 0o700))
	masterAt(t, dir, "etcd-0")
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	s := look(t, root)
	plan, err := s.PlanRestore(noon, harbourArchive, RestoreOptions{NoBootCheck: true})
	require.NoError(t, err)
	run, err := Begin(root, plan)
	require.NoError(t, err)
	defer run.Close()
	fill(t, filepath.Join(small, "ballast"))
	full := look(t, root)
	_, err = full.PlanRestore(noon, harbourArchive, RestoreOptions{Size: 2 << 20})
	require.ErrorIs(t, err, datadir.ErrNoSpace, "nothing is stopped for what cannot come to its end")
	works := s.RestoreWorks(RestoreOptions{NoBootCheck: true}, opener(harbourArchive))
	err = quick(run).Forward(t.Context(), works)
	require.ErrorIs(t, err, datadir.ErrNoSpace)
	require.Equal(t, Begun, run.Status())
	parts, err := filepath.Glob(filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd/*.part"))
	require.NoError(t, err)
	require.Empty(t, parts)

	require.NoError(t, os.Remove(filepath.Join(small, "ballast")))
	require.NoError(t, run.Forward(t.Context(), works), "somebody has made room")
	fill(t, filepath.Join(small, "ballast"))
	require.NoError(t, run.Back(t.Context(), nil))
	require.NoError(t, os.Remove(filepath.Join(small, "ballast")))
	require.Equal(t, before, tree(t, dir, true))
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=2m")
	require.NoError(t, os.CopyFS(dir, os.DirFS(hostTree(t))))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err := everything(openRoot(t, dir))
	require.ErrorIs(t, err, syscall.EROFS)
}

// A file with chattr +i is named before the first step, not at the second.
func TestImmutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // on a disk: a file system in memory may have no such flag
	masterAt(t, dir, "etcd-0")
	server := filepath.Join(dir, "etc/kubernetes/manifests/kube-apiserver.yaml")
	f, err := os.Open(server)
	require.NoError(t, err)
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutableFlag); err != nil {
		t.Skip("making a file immutable takes root, and a file system that has it:", err)
	}
	defer func() {
		require.NoError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0))
	}()
	root := openRoot(t, dir)
	_, err = look(t, root).PlanEtcdOff(noon)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "chattr -ia "+server)
	require.FileExists(t, filepath.Join(dir, "etc/kubernetes/manifests/etcd.yaml"))
}

// The data dir is a file system of its own: nothing leaves it.
func TestDataDirOnAMount(t *testing.T) {
	t.Parallel()
	dir := master(t, "")
	data := filepath.Join(dir, "mnt/kubernetes-data/var-lib-etcd")
	mounttest.Tmpfs(t, data, 0, "size=300m")
	unpack(t, "../../testdata/harbour/members.tar.gz", func(name string) string {
		if rest, ok := strings.CutPrefix(name, "etcd-0/"); ok {
			return filepath.Join(data, rest)
		}
		return ""
	})
	before := tree(t, dir, true)
	root := openRoot(t, dir)
	s := look(t, root)
	require.True(t, s.DataDir.Mount)
	quick := RestoreOptions{NoBootCheck: true}
	plan, err := s.PlanRestore(noon, harbourArchive, quick)
	require.NoError(t, err)
	carryOut(t, root, plan, s.RestoreWorks(quick, opener(harbourArchive)))
	require.True(t, look(t, root).Alone())
	back(t, root)
	require.Equal(t, before, tree(t, dir, true))
}
