package lifeboat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// TestLostIsTheDifference: what is lost is looked for among the keys that changed,
// and is what a comparison of all keys finds.
func TestLostIsTheDifference(t *testing.T) {
	t.Parallel()
	b, err := lifeboat.Open(t.Context(), "testdata/harbour/kube-backup.tar.gz", lifeboat.Options{})
	require.NoError(t, err)
	defer b.Close()
	newest := b.History().Windows()[0]
	for rev := newest.First; rev <= newest.Last; rev += (newest.Last - newest.First) / 6 {
		lost, err := b.Lost(t.Context(), rev)
		require.NoError(t, err)
		then, err := b.Objects(rev)
		require.NoError(t, err)
		now, err := b.Objects(0)
		require.NoError(t, err)
		diff, err := registry.DiffOf(t.Context(), then, now, registry.DiffOptions{})
		require.NoError(t, err)
		words := map[registry.Event]string{registry.Created: "gone", registry.Deleted: "returning", registry.Updated: "reverted"}
		var want []lifeboat.LostObject
		for _, item := range diff.Items {
			want = append(want, lifeboat.LostObject{Key: item.Key.Path, What: words[item.Event]})
		}
		require.ElementsMatch(t, want, lost.Objects, "revision %d", rev)
	}
}
