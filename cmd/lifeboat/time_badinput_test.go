package main

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// TestHalfFinishedCompaction: etcd was killed after it had begun a compaction. What
// it was about to take away is not the past any more, though some of it is there.
func TestHalfFinishedCompaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	_, err := rewrite(saved(t, memberDir(t)), path, func(*mvccpb.KeyValue) (bool, error) { return false, nil })
	require.NoError(t, err)
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		revision := binary.BigEndian.AppendUint64(nil, 1300)
		return tx.Bucket([]byte("meta")).Put([]byte("scheduledCompactRev"), append(append(revision, '_'), make([]byte, 8)...))
	}))
	require.NoError(t, db.Close())

	for _, args := range [][]string{
		{"get", path, "cm", "-n", "infra-production", "--rev", "1211"},
		{"get", path, "cm", "-n", "infra-production", "--at", "2026-11-21T20:50:05Z"},
		{"diff", path, "--rev", "1211..1400"},
		{"extract", path, "-n", "infra-production", "--rev", "1211", "--to", filepath.Join(t.TempDir(), "out")},
		{"etcd", "restore", path, "--name", "master-0", "--rev", "1211", "--to", filepath.Join(t.TempDir(), "etcd")},
	} {
		r := lifeboat(args...)
		require.Equal(t, console.ExitFailed, r.code, "%q: %s", args, r.stderr)
		require.Regexp(t, "compacted|is not in the backup, which holds revision 1300", r.stderr, "%q", args)
	}
	r := lifeboat("history", path, "cm/flip", "-n", "infra-production")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Regexp(t, `(?m)^1217 .*`, r.stdout, "the state that is left")
	r = lifeboat("get", path, "cm", "gone", "-n", "infra-production", "--rev", "1401", "-o", "name")
	require.Equal(t, "configmap/gone\n", r.stdout, r.stderr)
	r = lifeboat("inspect", path)
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "1300")
}

// TestTwoClusters: another cluster's backup is neither joined nor compared, unless
// somebody insists on the latter.
func TestTwoClusters(t *testing.T) {
	t.Parallel()
	own, other := saved(t, memberDir(t)), filepath.Join(t.TempDir(), "other")
	const uid = "00000000-1111-2222-3333-444444444444"
	changed, err := rewrite(own, other, func(kv *mvccpb.KeyValue) (bool, error) {
		at := bytes.Index(kv.Value, []byte("*$")) // ObjectMeta.uid is field 5, of 36 bytes
		if string(kv.Key) != "/registry/namespaces/kube-system" || at < 0 {
			return false, nil
		}
		copy(kv.Value[at+2:], uid)
		return true, nil
	})
	require.NoError(t, err)
	require.Positive(t, changed)

	for _, args := range [][]string{
		{"diff", own, other},
		{"history", own, "cm/flip", "-n", "infra-production", "--older", other},
		{"get", own, "cm", "-n", "infra-production", "--older", other},
		{"etcd", "restore", own, "--name", "master-0", "--rev", "1402", "--older", other, "--to", filepath.Join(t.TempDir(), "etcd")},
	} {
		r := lifeboat(args...)
		require.Equal(t, console.ExitRefused, r.code, "%q: %s", args, r.stderr)
		require.Contains(t, r.stderr, "cluster", "%q", args)
	}
	r := lifeboat("diff", own, other, "--force", "--raw", "-o", "name")
	require.Equal(t, console.ExitDeviated, r.code, r.stderr)
	require.Equal(t, "namespaces/kube-system\n", r.stdout)
}

// TestPastUnderALostKey: the last value of an object was written with a key that
// nobody has. What came before is shown, and the exit code says that it is not all.
func TestPastUnderALostKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	last := int64(0)
	_, err := rewrite(saved(t, memberDir(t)), path, func(kv *mvccpb.KeyValue) (bool, error) {
		lost := string(kv.Key) == "/registry/configmaps/infra-production/flip" && kv.ModRevision >= 1217
		if lost {
			kv.Value, last = append([]byte("k8s:enc:secretbox:v1:lost:"), kv.Value...), kv.ModRevision
		}
		return lost, nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 1217, last)

	r := lifeboat("history", path, "cm/flip", "-n", "infra-production")
	require.Equal(t, console.ExitIncomplete, r.code, r.stderr)
	require.Regexp(t, `(?m)^1217 .*locked or damaged`, r.stdout)
	require.Regexp(t, `(?m)^1214 .*data.w: 2`, r.stdout)
	require.Contains(t, r.stderr, "1 states could not be read")
	r = lifeboat("diff", path, "--rev", "1211..", "-n", "infra-production")
	require.Equal(t, console.ExitDeviated, r.code, r.stdout+r.stderr)
	require.Regexp(t, "(?m)^changed .*configmaps/flip +locked: ", r.stdout)
	r = lifeboat("extract", path, "cm/flip", "-n", "infra-production", "--rev", "1216", "--to", filepath.Join(t.TempDir(), "out"))
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	r = lifeboat("extract", path, "cm/flip", "-n", "infra-production", "--to", filepath.Join(t.TempDir(), "out"))
	require.Equal(t, console.ExitNoKey, r.code, r.stderr)
}

// TestTimesThatCannotBe: revisions and times that are no such, and that no backup
// holds.
func TestTimesThatCannotBe(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]console.ExitCode{"abc": console.ExitUsage, "-1": console.ExitUsage, "9999": console.ExitFailed} {
		r := lifeboat("get", harbourArchive, "cm", "-n", "infra-production", "--rev", text)
		require.Equal(t, code, r.code, "--rev %s: %s", text, r.stderr)
	}
	for text, code := range map[string]console.ExitCode{
		"yesterday": console.ExitUsage, "": console.ExitUsage, "25:00": console.ExitUsage, "2026-02-30": console.ExitUsage, "-10m ago": console.ExitUsage,
		"2036-01-01 00:00": console.ExitFailed, "1970-01-01T00:00:00Z": console.ExitFailed, "10h ago": console.ExitFailed,
	} {
		r := lifeboat("get", harbourArchive, "cm", "-n", "infra-production", "--at="+text)
		require.Equal(t, code, r.code, "--at %q: %s", text, r.stderr)
		if code == console.ExitFailed {
			require.Contains(t, r.stderr, "which holds revision 1 ", "--at %q", text)
		}
	}
	r := lifeboat("get", harbourArchive, "cm", "-n", "infra-production", "--at", "10s ago")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
}
