package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// brokenConfigMap is harbour's database with the ConfigMap crontab of
// infra-production damaged: what etcd's own code cannot notice.
func brokenConfigMap(t testing.TB) string {
	t.Helper()
	const trailer = 32
	db := readBackup(t).snapshot
	db = bytes.Clone(db[:len(db)-trailer])
	envelope := []byte("k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12")
	broken := 0
	for at := 0; ; at++ {
		i := bytes.Index(db[at:], envelope)
		if i < 0 {
			break
		}
		at += i
		_, n := binary.Uvarint(db[at+len(envelope):])
		message := at + len(envelope) + n
		if bytes.Contains(db[message:message+20], []byte("crontab")) {
			db[message] = 0x0f // a wire type that there is not
			broken++
		}
	}
	require.NotZero(t, broken)
	path := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(path, db, 0o600))
	return path
}

// A list that is short says so, in every format.
func TestGetNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	db := brokenConfigMap(t)
	for _, format := range []string{"table", "yaml", "json", "name"} {
		got := lifeboat("get", db, "configmaps", "-n", "infra-production", "-o", format)
		require.Equal(t, console.ExitIncomplete, got.code, "%s: %s", format, got.stderr)
		require.Contains(t, got.stderr, "configmaps infra-production/crontab: undecodable", format)
		require.Contains(t, got.stderr, "1 of 3 objects could not be read", format)
	}
}

// A variable that is not set does not mean everything.
func TestEmptyNamespace(t *testing.T) {
	t.Parallel()
	src := "../../testdata/harbour/kube-backup.tar.gz"
	target := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"extract", src, "-n", "", "--to", target},
		{"extract", src, "-n", "infra-production", "-n", "", "--to", target},
		{"get", src, "secrets", "-n", "", "-o", "yaml"},
	} {
		got := lifeboat(args...)
		require.Equal(t, console.ExitUsage, got.code, got.stderr)
		require.Contains(t, got.stderr, "namespace is empty")
		require.Empty(t, got.stdout)
		require.NoFileExists(t, target)
	}
}

// One YAML stream has no place for raw bytes, and does not pretend.
func TestRawStreamNamesWhatIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snapshot")
	require.NoError(t, os.WriteFile(path, readBackup(t).snapshot, 0o600))
	got := lifeboat("extract", path, "-n", "infra-production", "--profile", "raw", "--to", "-")
	require.Equal(t, console.ExitIncomplete, got.code)
	require.NotContains(t, got.stdout, "k8s:enc:")
	require.Contains(t, got.stderr, "secrets infra-production/db-password: left out: locked")
	require.NotContains(t, got.stderr, "raw bytes are written")
}

// A report of manifests that are not there would be in the way of the next try.
func TestReportComesLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	report := filepath.Join(dir, "report.json")
	got := lifeboat("extract", "../../testdata/harbour/kube-backup.tar.gz", "-n", "infra-production",
		"--to", filepath.Join(dir, "missing", "out"), "--report", report)
	require.Equal(t, console.ExitFailed, got.code, got.stderr)
	require.NoFileExists(t, report)
}
