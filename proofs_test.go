package lifeboat_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/place"
)

// The catalog says when an archive was proven, prune keeps the last one that was,
// and a record that is of another file stops it.
func TestProofRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, err := os.ReadFile(harbour)
	require.NoError(t, err)
	archive := filepath.Join(dir, "kube-backup.tar.gz")
	require.NoError(t, os.WriteFile(archive, data, 0o600))
	store, err := lifeboat.OpenPlace(t.Context(), dir)
	require.NoError(t, err)
	catalog := func() lifeboat.Listing {
		list, err := lifeboat.Catalog(t.Context(), store, lifeboat.Options{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		return list[0]
	}
	require.Nil(t, catalog().Proof)

	written := lifeboat.ProofRecord{Archive: "abcd", Size: int64(len(data)), Proven: time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC), Verdict: "proven", Took: 5.5, Server: "Kubernetes v1.37.1"}
	require.NoError(t, lifeboat.ProofRecord{Archive: "older", Size: int64(len(data)), Verdict: "the backup cannot start"}.WriteBeside(archive))
	require.False(t, catalog().Proof.Started())
	require.NoError(t, written.WriteBeside(archive))
	require.Equal(t, &written, catalog().Proof)
	require.True(t, catalog().Proof.Started())

	old, newer, newest := catalog(), catalog(), catalog()
	for i, l := range []*lifeboat.Listing{&old, &newer, &newest} {
		l.Cluster, l.Revision, l.Told = "c", int64(i+1), lifeboat.ToldByArchive
		l.Time = written.Proven.AddDate(0, 0, i)
	}
	newer.Proof, newest.Proof = nil, nil
	decisions, err := lifeboat.PlanPrune(t.Context(), store, []lifeboat.Listing{old, newer, newest}, place.Policy{Last: 1})
	require.NoError(t, err)
	kept := map[int64]bool{}
	for _, d := range decisions {
		kept[d.Revision] = d.Keep()
	}
	require.Equal(t, map[int64]bool{1: true, 2: false, 3: true}, kept, "the last one proven stays")

	require.NoError(t, os.WriteFile(archive, append(data, 0), 0o600))
	l := catalog()
	require.Nil(t, l.Proof)
	require.Contains(t, l.Unproven, "it is of a file of")
	l.Told, l.Cluster = lifeboat.ToldByArchive, "c"
	_, err = lifeboat.PlanPrune(t.Context(), store, []lifeboat.Listing{l}, place.Policy{Last: 1})
	require.ErrorContains(t, err, "nothing is removed")
	require.NoError(t, os.WriteFile(archive+place.ProofSuffix, []byte("{}"), 0o600))
	require.Contains(t, catalog().Unproven, "it is not a proof")
	require.NoError(t, store.Remove(t.Context(), catalog().Entry))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "its proof goes with it")
}
