package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memberDir is the data dir of a member that was killed.
func memberDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, unpackMembers("../../testdata/harbour", dir, "etcd-1"))
	return filepath.Join(dir, "etcd-1")
}

// A SIGKILL at any moment: the target is absent or whole, the source as it
// was, and the second try works.
func TestEtcdVerbsKilled(t *testing.T) {
	t.Parallel()
	source := memberDir(t)
	watch := watch{}
	require.NoError(t, watch.add(source))
	for name, args := range map[string][]string{
		"restore": {"etcd", "restore", harbourArchive, "--bump-revision", "off"},
		"rebuild": {"etcd", "rebuild", source, "--bump-revision", "off"},
		"repair":  {"etcd", "repair", source, "--compact", "--defrag"},
		"save":    {"etcd", "save", source},
	} {
		for range 3 {
			dir := t.TempDir()
			target := filepath.Join(dir, "target")
			line := append(slices.Clone(args), "--to", target)
			cmd := self(t, line...)
			require.NoError(t, cmd.Start())
			time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()
			if _, err := os.Stat(target); err == nil {
				r := lifeboat("etcd", "status", target)
				require.Equal(t, exitDone, r.code, "%s left a target that is not whole: %s", name, r.stderr)
				continue
			}
			r := lifeboat(line...)
			require.Equal(t, exitDone, r.code, "%s: %s", name, r.stderr)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1, "%s: %v", name, left)
		}
	}
	require.Empty(t, watch.changed())
}

// No room: refused before a byte is written where the space tells, an error
// and nothing left where it does not.
func TestEtcdVerbsDiskFull(t *testing.T) {
	t.Parallel()
	source := memberDir(t)
	watch := watch{}
	require.NoError(t, watch.add(source))
	for options, want := range map[string]struct {
		code exitCode
		text string
	}{
		"size=40m":            {exitRefused, "not enough free space"},
		"size=1g,nr_inodes=9": {exitFailed, "no space left on device"},
	} {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			t.Skip("mounting a small file system takes root:", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
		for _, verb := range []string{"rebuild", "restore"} {
			r := lifeboat("etcd", verb, source, "--to", filepath.Join(dir, "out"))
			require.Equal(t, want.code, r.code, "%s: %s", options, r.stderr)
			require.Contains(t, r.stderr, want.text)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		}
	}
	require.Empty(t, watch.changed())
}

// A mount point cannot be renamed: member is built and renamed in it.
func TestEtcdRestoreOnMountPoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1g"); err != nil {
		t.Skip("mounting takes root:", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	r := lifeboat("etcd", "restore", harbourArchive, "--to", dir)
	require.Equal(t, exitDone, r.code, r.stderr)
	r = lifeboat("etcd", "restore", harbourArchive, "--to", dir)
	require.Equal(t, exitRefused, r.code, r.stderr)
	r = lifeboat("etcd", "restore", harbourArchive, "--to", dir, "--replace")
	require.Equal(t, exitDone, r.code, r.stderr)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
	require.Equal(t, "member", left[0].Name())
	require.True(t, strings.HasPrefix(left[1].Name(), "member.old-"), left[1].Name())
}

// No network, not even a loopback.
func TestEtcdVerbsWithoutNetwork(t *testing.T) {
	t.Parallel()
	cmd := self(t, "etcd", "rebuild", memberDir(t), "--to", filepath.Join(t.TempDir(), "out"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	output, err := cmd.CombinedOutput()
	if errorsIsPermission(err) {
		t.Skip("this host lets nobody make a network namespace")
	}
	require.NoError(t, err, string(output))
}
