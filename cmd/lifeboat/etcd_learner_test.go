package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
)

// A learner is not a voter of a restored cluster unless somebody says so: with one
// voter more it could lose fewer members than the operator counts on.
func TestRestoreLeavesLearnersOut(t *testing.T) {
	t.Parallel()
	source := memberDir(t)
	db, err := bolt.Open(filepath.Join(source, "member", "snap", "db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("members")).Put([]byte("00000000000000aa"),
			[]byte(`{"id":170,"name":"newcomer","peerURLs":["http://127.0.0.1:12399"],"isLearner":true}`))
	}))
	require.NoError(t, db.Close())

	r := lifeboat("etcd", "restore", source, "--to", filepath.Join(t.TempDir(), "all"), "--members", "all", "--dry-run")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "the learner newcomer is left out")
	require.Contains(t, r.stdout, "as member master-2")
	require.NotContains(t, r.stdout, "as member newcomer")
	require.NotContains(t, r.stdout, "newcomer=http")

	r = lifeboat("etcd", "restore", source, "--to", filepath.Join(t.TempDir(), "all"), "--members", "all", "--dry-run",
		"--initial-cluster", "master-0=http://127.0.0.1:1,newcomer=http://127.0.0.1:2")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "as member newcomer")

	r = lifeboat("etcd", "rebuild", source, "--to", filepath.Join(t.TempDir(), "one"), "--name", "newcomer", "--dry-run")
	require.Equal(t, console.ExitDone, r.code, r.stderr)
	require.Contains(t, r.stdout, "newcomer was a learner, and is a voter of the new cluster")
}
