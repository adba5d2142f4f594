package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/internal/mounttest"
	"github.com/lifeboat-dr/lifeboat/snapshot/snapshottest"
)

// No network: the tool does its work where there is not even a loopback.
func TestWorksWithoutNetwork(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"direct", "etcd"} {
		dir := t.TempDir()
		cmd := self(t, "extract", harbourArchive, "-n", "infra-production", "--to", filepath.Join(dir, "out"), "--engine", engine)
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
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, names, 1, "the target and nothing else")
	}
}

func errorsIsPermission(err error) bool {
	return err != nil && strings.Contains(err.Error(), "operation not permitted")
}

// A full disk: an error that says so, and not a file left.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mounttest.Tmpfs(t, dir, 0, "size=64k")
	r := lifeboat("extract", harbourArchive, "-n", "infra-production", "--to", filepath.Join(dir, "out"))
	require.Equal(t, console.ExitFailed, r.code)
	require.Contains(t, r.stderr, "no space left on device")
	r = lifeboat("extract", harbourArchive, "-n", "infra-production", "--spool", "disk", "--to", filepath.Join(dir, "out"))
	require.Equal(t, console.ExitFailed, r.code)
	require.Contains(t, r.stderr, "spooling: ")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A database that a running etcd holds: refused at once, and named.
func TestDatabaseInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	r := lifeboat("inspect", path)
	require.Equal(t, console.ExitRefused, r.code, r.stderr)
	require.Contains(t, r.stderr, "in use")
	require.Contains(t, r.stderr, path)
}

// Killed half-way, the next run names what was left, removes it and succeeds.
func TestKilledHalfWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "out")
	killed := false
	for delay := 20 * time.Millisecond; delay < 3*time.Second && !killed; delay += delay / 3 {
		require.NoError(t, os.RemoveAll(target))
		cmd := self(t, "extract", harbourArchive, "-A", "--to", target)
		require.NoError(t, cmd.Start())
		deadline := time.Now().Add(30 * time.Second)
		for time.Now().Before(deadline) {
			if _, err := os.Stat(target + ".part"); err == nil {
				break
			}
			if _, err := os.Stat(target); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
		_, err := os.Stat(target + ".part")
		killed = err == nil
	}
	require.True(t, killed, "no run could be killed while it wrote")
	_, err := os.Stat(target)
	require.ErrorIs(t, err, os.ErrNotExist, "a half target")
	r := lifeboat("extract", harbourArchive, "-n", "infra-production", "--to", target)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stderr, target+".part")
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}

// SRC through a pipe, and the result through one whose reader goes away.
func TestPipes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(harbourArchive)
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"lifeboat", "get", "-", "ns", "-o", "name"}, bytes.NewReader(data), &stdout, &stderr)
	require.Equal(t, console.ExitDone, code, stderr.String())
	require.Contains(t, stdout.String(), "namespace/infra-production\n")

	cmd := self(t, "get", harbourArchive, "clusterroles", "-o", "yaml")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = writer, &stderr
	stderr.Reset()
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	require.NoError(t, reader.Close())
	require.Error(t, cmd.Wait())
	require.Equal(t, int(console.ExitInterrupted), cmd.ProcessState.ExitCode())
	require.Empty(t, stderr.String())
}

// The two engines give the same bytes for everything in every fixture.
func TestEnginesAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	generated := filepath.Join(dir, "generated")
	_, err := snapshottest.Generate(generated, snapshottest.Spec{Keys: 500, Trailer: true})
	require.NoError(t, err)
	for name, args := range map[string][]string{
		"harbour":         {harbourArchive, "-A"},
		"harbour-raw":     {harbourArchive, "-A", "--profile", "raw"},
		"harbour-cluster": {harbourArchive, "--cluster"},
		"harbour-past":    {harbourArchive, "-n", "infra-production", "--rev", "900"},
		"generated":       {generated, "-A"},
	} {
		var results [2]result
		var trees [2]map[string]string
		for i, engine := range []string{"direct", "etcd"} {
			target := filepath.Join(dir, name+"-"+engine)
			results[i] = lifeboat(append([]string{"extract", "--to", target, "--engine", engine}, args...)...)
			require.Equal(t, console.ExitDone, results[i].code, results[i].stderr)
			trees[i] = readTree(t, target)
		}
		require.NotEmpty(t, trees[0], name)
		require.Equal(t, trees[0], trees[1], name)
	}
}

func readTree(t testing.TB, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path[len(root):]] = string(data)
		return err
	}))
	return files
}
