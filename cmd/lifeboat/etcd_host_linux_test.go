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

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
)

// writingVerbs are all verbs of etcd that write, with what they read: a data
// dir, and a snapshot.
func writingVerbs(source, snapshot string) map[string][]string {
	return map[string][]string{
		"restore":          {"etcd", "restore", harbourArchive, "--bump-revision", "off"},
		"restore dropping": {"etcd", "restore", source, "--drop-masterleases"},
		"rebuild":          {"etcd", "rebuild", source, "--bump-revision", "off"},
		"rebuild via etcd": {"etcd", "rebuild", source, "--via-etcd"},
		"repair dir":       {"etcd", "repair", source, "--compact", "--defrag"},
		"repair file":      {"etcd", "repair", snapshot, "--compact", "--defrag"},
		"save":             {"etcd", "save", source},
	}
}

// A SIGKILL at any moment: the target is absent or whole, the source as it
// was, and the second try works and leaves nothing beside it. With --replace
// what stood there stands there, or is aside.
func TestEtcdVerbsKilled(t *testing.T) {
	t.Parallel()
	source := memberDir(t)
	snapshot := saved(t, source)
	watch := watch{}
	require.NoError(t, watch.add(source))
	require.NoError(t, watch.add(snapshot))
	left := 3 * soak // of the verbs, in a map's order: another three each time
	for name, args := range writingVerbs(source, snapshot) {
		if left--; left < 0 {
			break
		}
		begun := time.Now()
		whole := self(t, append(slices.Clone(args), "--to", filepath.Join(t.TempDir(), "target"))...)
		out, err := whole.CombinedOutput()
		require.NoError(t, err, string(out))
		took := time.Since(begun)
		for range soak {
			killed(t, name, args, took, rand.IntN(2) == 1)
		}
	}
	require.Empty(t, watch.changed())
}

// killed runs a verb, of which a whole run took so long, and kills it.
func killed(t *testing.T, name string, args []string, took time.Duration, replace bool) {
	t.Helper()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	line := append(slices.Clone(args), "--to", target)
	if replace {
		r := lifeboat(line...)
		require.Equal(t, console.ExitDone, r.code, "%s: %s", name, r.stderr)
		line = append(line, "--replace")
	}
	cmd := self(t, line...)
	require.NoError(t, cmd.Start())
	time.Sleep(time.Duration(rand.Int64N(int64(took))))
	_ = cmd.Process.Kill() // it may have ended by itself
	_ = cmd.Wait()
	if _, err := os.Stat(target); err == nil {
		r := lifeboat("etcd", "status", target)
		require.Equal(t, console.ExitDone, r.code, "%s left a target that is not whole: %s", name, r.stderr)
	} else {
		require.False(t, replace, "%s: there was no target for a moment", name)
	}
	again := line
	if _, err := os.Stat(target); err == nil && !replace {
		again = append(slices.Clone(line), "--replace")
	}
	r := lifeboat(again...)
	require.Equal(t, console.ExitDone, r.code, "%s: %s", name, r.stderr)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range left {
		require.True(t, e.Name() == "target" || strings.HasPrefix(e.Name(), "target.old-"), "%s left %v", name, left)
	}
	require.NoError(t, os.RemoveAll(dir))
}

// No room: refused before a byte is written where the space tells, an error
// and nothing left where it does not; what was to be replaced stays.
func TestEtcdVerbsDiskFull(t *testing.T) {
	t.Parallel()
	source := memberDir(t)
	snapshot := saved(t, source)
	watch := watch{}
	require.NoError(t, watch.add(source))
	require.NoError(t, watch.add(snapshot))
	for options, want := range map[string]struct {
		code console.ExitCode
		text string
	}{
		"size=256k":           {console.ExitRefused, "not enough free space"},
		"size=1g,nr_inodes=3": {console.ExitFailed, "no space left on device"},
	} {
		dir := t.TempDir()
		mounttest.Tmpfs(t, dir, 0, options)
		old := filepath.Join(dir, "out")
		for name, args := range writingVerbs(source, snapshot) {
			toFile := name == "save" || name == "repair file"
			if toFile && want.code == console.ExitFailed {
				continue // a file without a name takes the one inode that is left
			}
			line := append(slices.Clone(args), "--spool", "mem", "--to", old)
			r := lifeboat(line...)
			require.Equal(t, want.code, r.code, "%s on %s: %s", name, options, r.stderr)
			require.Contains(t, r.stderr, want.text)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left, name)

			require.NoError(t, os.WriteFile(old, []byte("old"), 0o600))
			if !toFile {
				require.NoError(t, os.Remove(old))
				require.NoError(t, os.Mkdir(old, 0o700))
				require.NoError(t, os.Mkdir(filepath.Join(old, "member"), 0o700))
			}
			was, err := os.Stat(old)
			require.NoError(t, err)
			r = lifeboat(append(line, "--replace")...)
			require.Equal(t, want.code, r.code, "%s on %s: %s", name, options, r.stderr)
			is, err := os.Stat(old)
			require.NoError(t, err)
			require.True(t, os.SameFile(was, is), name)
			require.NoError(t, os.RemoveAll(old))
			left, err = os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left, name)
		}
	}
	require.Empty(t, watch.changed())
}

// A mount point cannot be renamed: member is built and renamed in it.
func TestEtcdRestoreOnMountPoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, "size=1g")
	r := lifeboat("etcd", "restore", harbourArchive, "--to", dir)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	r = lifeboat("etcd", "restore", harbourArchive, "--to", dir)
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	r = lifeboat("etcd", "restore", harbourArchive, "--to", dir, "--replace")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
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
