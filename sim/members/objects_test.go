package members

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// objectsIn are the objects of namespaces in a database, named by their keys.
func objectsIn(t *testing.T, path string) (all []sim.Object) {
	t.Helper()
	db, err := snapshot.Open(t.Context(), path)
	require.NoError(t, err)
	defer db.Close()
	for kv, err := range db.At(t.Context(), 0, nil) {
		require.NoError(t, err)
		parts := strings.Split(string(kv.Key), "/")
		if kv.Lease == 0 && len(parts) == 5 {
			all = append(all, sim.Object{Key: string(kv.Key), Namespace: parts[3], Name: parts[2] + " " + parts[3] + "/" + parts[4], Size: len(kv.Value)})
		}
	}
	require.Greater(t, len(all), 100)
	return all
}

// A snapshot that is restored loses what was written to the backup's objects
// since, and says to which; what is gone altogether is named, too. The values
// themselves are never changed by the load.
func TestRestoreNamesObjects(t *testing.T) {
	t.Parallel()
	g := given(1)
	g.Snapshot = harbour(t)
	g.Objects = objectsIn(t, g.Snapshot)
	g.Load = sim.Workload{Writes: 100, Clients: 2}
	c := start(t, g)
	ctx := t.Context()
	writes(t, c, 20*time.Second)
	do(t, c, sim.Save, "m1")
	require.Equal(t, sim.ObjectLoss{Of: len(g.Objects)}, c.ObjectLoss(ctx))
	acked := c.Tally().Acknowledged
	within(t, c, 10*time.Second, func() bool { return c.Tally().Acknowledged > acked+20 })
	do(t, c, sim.Restore, "m1")
	writes(t, c, 20*time.Second)
	loss := c.ObjectLoss(ctx)
	require.Empty(t, loss.Lost)
	require.Greater(t, len(loss.SetBack), 15)
	require.LessOrEqual(t, len(loss.SetBack), c.Tally().Lost)

	// The load writes them in the order of their keys: the first has been written.
	gone := c.objects.all[0]
	require.Equal(t, gone.Name, c.objects.touched(0).Name)
	require.NoError(t, c.one(ctx, "m1", time.Second, func(ctx context.Context, client *clientv3.Client) error {
		before, err := client.Get(ctx, gone.Key)
		require.NoError(t, err)
		require.Greater(t, before.Kvs[0].Version, int64(1), "it was written again")
		require.Len(t, before.Kvs[0].Value, gone.Size)
		_, err = client.Delete(ctx, gone.Key)
		return err
	}))
	require.Equal(t, []string{gone.Name}, c.ObjectLoss(ctx).Lost)
	read, of, err := c.Objects(ctx, "m1", gone.Namespace)
	require.NoError(t, err)
	require.Equal(t, of-1, read)

	do(t, c, sim.Kill, "m1")
	require.NotEmpty(t, c.ObjectLoss(ctx).Unknown, "nobody can be asked")
}
