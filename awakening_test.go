package lifeboat_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
)

// What comes when the controllers start is told from the backup's own objects:
// harbour has two CronJobs, one of them suspended or not as it stands there,
// seven Nodes, and Pods with the default tolerations.
func TestAwakening(t *testing.T) {
	t.Parallel()
	b, err := lifeboat.Open(t.Context(), "testdata/harbour/kube-backup.tar.gz", lifeboat.Options{})
	require.NoError(t, err)
	defer b.Close()
	a, err := b.Awakening(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, 7, a.Nodes)
	require.Positive(t, a.CronJobs)
	require.Positive(t, a.Pods)
	require.Equal(t, 5*time.Minute, a.After)
	require.Contains(t, a.String(), "7 Nodes go NotReady")
	require.Empty(t, (&lifeboat.Awakening{}).String())
}
