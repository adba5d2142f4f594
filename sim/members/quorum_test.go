package members

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// A killed leader costs an election; two dead of three leave a member that can
// be read, asked and copied, and that writes nothing.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Load = sim.Workload{Writes: 50, Clients: 2}
	c := start(t, g)
	t.Log("first leader after", within(t, c, 20*time.Second, func() bool {
		return c.Write(t.Context(), nil, time.Second) == nil
	}))
	first := leader(t, c)
	do(t, c, sim.Kill, first)
	took := writes(t, c, 15*time.Second)
	t.Log("leader lost: first write after", took)
	require.Less(t, took, 10*time.Second)
	require.Equal(t, sim.RoleDown, role(c, first))

	second := leader(t, c, first)
	do(t, c, sim.Kill, second)
	last := others(c, first, second)[0]
	took = within(t, c, 5*time.Second, func() bool { return role(c, last) == sim.RoleCandidate })
	t.Log("no leader after", took)

	ctx := t.Context()
	require.NoError(t, c.Read(ctx, last, false, enough), "serializable")
	require.EqualError(t, c.Read(ctx, last, true, time.Second), "context deadline exceeded")
	require.EqualError(t, c.Write(ctx, nil, time.Second), "context deadline exceeded")
	require.False(t, c.Tally().LostKnown, "nobody can be asked")
	s, err := c.Status(ctx, last)
	require.NoError(t, err)
	require.Equal(t, []string{"etcdserver: no leader"}, s.Errors)
	require.Empty(t, s.Leader)
	list, err := c.MemberList(ctx, last)
	require.NoError(t, err)
	require.Len(t, list, 3)
	do(t, c, sim.Defrag, last)
	do(t, c, sim.Save, last)
	api := c.member(last).api()
	_, err = api.Put(clientv3.WithRequireLeader(ctx), "k", "v")
	require.Equal(t, rpctypes.ErrNoLeader, err, "at once")
	for answer := range api.Watch(clientv3.WithRequireLeader(ctx), "k") {
		require.Equal(t, rpctypes.ErrNoLeader, answer.Err())
		break
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = api.MemberList(soon)
	require.EqualError(t, err, "context deadline exceeded", "a linearizable list")
	require.EqualError(t, c.try(ctx, sim.AddLearner, "m4"), "etcdserver: unhealthy cluster")
	require.EqualError(t, c.try(ctx, sim.Remove, first), "context deadline exceeded")

	// Started again without a leader it answers nobody, not even what needs none.
	do(t, c, sim.Kill, last)
	do(t, c, sim.Start, last)
	require.EqualError(t, c.Read(ctx, last, false, 2*time.Second), "context deadline exceeded")
	_, err = c.Status(ctx, last)
	require.EqualError(t, err, "context deadline exceeded")

	do(t, c, sim.ForceNewCluster, last)
	t.Log("force-new-cluster: first write after", writes(t, c, 10*time.Second))
	list, err = c.MemberList(ctx, last)
	require.NoError(t, err)
	require.Equal(t, []sim.ListedMember{{Name: last, Started: true}}, list)
	tally := c.Tally()
	require.True(t, tally.LostKnown)
	require.Zero(t, tally.Lost)
}
