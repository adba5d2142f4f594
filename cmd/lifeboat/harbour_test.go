package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

const harbourArchive = "../../testdata/harbour/kube-backup.tar.gz"

// self starts the program as a process of its own: the test binary under the
// name lifeboat, as the scripts do.
func self(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "lifeboat")
	require.NoError(t, os.Symlink(binary, link))
	return exec.Command(link, args...)
}

// memberDir is the data dir of a member that was killed.
func memberDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, unpackMembers("../../testdata/harbour", dir, "etcd-1"))
	return filepath.Join(dir, "etcd-1")
}

// saved is a snapshot of a member, whose data dir is given.
func saved(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "snapshot")
	r := lifeboat("etcd", "save", source, "--to", path)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	return path
}
