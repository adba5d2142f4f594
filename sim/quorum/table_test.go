package quorum

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// The tests of this file predict what sim/members' tests of the same subject
// see of real members: the texts, and the times as multiples of the election
// timeout.

// within lets time pass until ok, and says how long it took.
func within(t *testing.T, c *Cluster, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := c.Now()
	for !ok() {
		require.Less(t, c.Now()-began, limit, "%+v", c.Members())
		require.NoError(t, c.Advance(t.Context(), c.Now()+10*time.Millisecond))
	}
	return c.Now() - began
}

func leads(c *Cluster) bool { return c.leader() != nil }

// serve says that all members have told the cluster that they started.
func serve(c *Cluster) bool {
	for _, m := range c.members {
		if !m.serving {
			return false
		}
	}
	return true
}

func role(c *Cluster, name string) sim.Role {
	for _, m := range c.Members() {
		if m.Name == name {
			return m.Role
		}
	}
	return ""
}

func others(c *Cluster, not ...string) (names []string) {
	for _, m := range c.members {
		if !contains(not, m.name) {
			names = append(names, m.name)
		}
	}
	return names
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// quiet has no load: what is measured is the drill's own.
func quiet(members int) sim.Given {
	g := given(members)
	g.Load = sim.Workload{}
	return g
}

func TestPredictsALostQuorum(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		c := started(t, quiet(3), seed)
		ctx := t.Context()
		require.Less(t, within(t, c, 20*time.Second, func() bool { return serve(c) }), 5*time.Second)
		first := c.leader().name
		require.NoError(t, act(t, c, sim.Kill, first))
		took := within(t, c, 10*time.Second, func() bool { return leads(c) })
		require.Greater(t, took, 500*time.Millisecond, "an election timeout, less the heartbeat that was on its way")
		require.Less(t, took, 5*time.Second)

		second := c.leader().name
		require.NoError(t, act(t, c, sim.Kill, second))
		last := others(c, first, second)[0]
		within(t, c, 5*time.Second, func() bool { return role(c, last) == sim.RoleCandidate })
		require.NoError(t, c.Read(ctx, last, false, time.Second))
		require.EqualError(t, c.Read(ctx, last, true, time.Second), "context deadline exceeded")
		require.EqualError(t, c.Write(ctx, nil, time.Second), "context deadline exceeded")
		require.EqualError(t, act(t, c, sim.AddLearner, "m4"), "etcdserver: unhealthy cluster")
		require.EqualError(t, act(t, c, sim.Remove, first), "context deadline exceeded")
		require.EqualError(t, act(t, c, sim.Promote, first), "context deadline exceeded")
		s, err := c.Status(ctx, last)
		require.NoError(t, err)
		require.Equal(t, []string{"etcdserver: no leader"}, s.Errors)
		list, err := c.MemberList(ctx, last)
		require.NoError(t, err)
		require.Len(t, list, 3)
		require.NoError(t, act(t, c, sim.Defrag, last))
		require.NoError(t, act(t, c, sim.Save, last))

		// Started again without a leader it answers nobody.
		require.NoError(t, act(t, c, sim.Kill, last))
		require.NoError(t, act(t, c, sim.Start, last))
		require.NoError(t, c.Advance(ctx, c.Now()+3*time.Second))
		require.EqualError(t, c.Read(ctx, last, false, time.Second), "context deadline exceeded")
		_, err = c.Status(ctx, last)
		require.EqualError(t, err, "context deadline exceeded")

		began := c.Now()
		require.NoError(t, act(t, c, sim.ForceNewCluster, last))
		within(t, c, 10*time.Second, func() bool { return c.Write(ctx, nil, time.Second) == nil })
		require.Less(t, c.Now()-began, 3*time.Second)
	}
}

func TestPredictsGrowth(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(1), 1)
	ctx := t.Context()
	within(t, c, 15*time.Second, func() bool { return c.Write(ctx, nil, time.Second) == nil })
	require.NoError(t, act(t, c, sim.AddMember, "m2"))
	began := c.Now()
	require.EqualError(t, c.Write(ctx, nil, 20*time.Second), "etcdserver: request timed out")
	require.Equal(t, 7*time.Second, (c.Now() - began).Round(time.Second))
	require.EqualError(t, act(t, c, sim.AddMember, "m3"), "etcdserver: re-configuration failed due to not enough started members")
	require.NoError(t, act(t, c, sim.Start, "m2"))
	within(t, c, 10*time.Second, func() bool { return c.Write(ctx, nil, time.Second) == nil })
	require.EqualError(t, act(t, c, sim.Remove, "m2"), "etcdserver: unhealthy cluster")
	require.EqualError(t, act(t, c, sim.AddLearner, "m3"), "etcdserver: unhealthy cluster")
	require.NoError(t, c.Advance(ctx, c.Now()+6*time.Second))
	require.NoError(t, act(t, c, sim.AddLearner, "m3"))
	require.True(t, c.Members()[2].Learner, "before it has heard of itself")
	require.EqualError(t, act(t, c, sim.Promote, "m3"), "etcdserver: can only promote a learner member which is in sync with leader")
	require.EqualError(t, act(t, c, sim.AddLearner, "m4"), "etcdserver: too many learner members in cluster")
	require.Equal(t, sim.RoleRemoved, role(c, "m4"))
	require.EqualError(t, act(t, c, sim.Start, "m4"), "the member has been permanently removed from the cluster")
	require.NoError(t, act(t, c, sim.Start, "m3"))
	require.NoError(t, c.Read(ctx, "m3", false, 5*time.Second))
	require.EqualError(t, c.Read(ctx, "m3", true, time.Second), "etcdserver: rpc not supported for learner")
	within(t, c, 15*time.Second, func() bool { return act(t, c, sim.Promote, "m3") == nil })
	require.NoError(t, c.Advance(ctx, c.Now()+6*time.Second))
	gone := others(c, c.leader().name)[0]
	require.NoError(t, act(t, c, sim.Remove, gone))
	require.NoError(t, c.Advance(ctx, c.Now()+100*time.Millisecond))
	require.Equal(t, sim.RoleRemoved, role(c, gone), "a member ends when it hears that it is removed")
}

func TestPredictsACutLeader(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		c := started(t, quiet(3), seed)
		within(t, c, 20*time.Second, func() bool { return serve(c) })
		old := c.leader()
		require.NoError(t, act(t, c, sim.Isolate, old.name))
		began := c.Now()
		within(t, c, 10*time.Second, func() bool { return c.leader() != old && leads(c) })
		require.Less(t, c.Now()-began, 5*time.Second)
		within(t, c, 10*time.Second, func() bool { return role(c, old.name) != sim.RoleLeader })
		require.LessOrEqual(t, c.Now()-began, 5*time.Second, "CheckQuorum: two election timeouts at most")
		next := c.leader()
		require.NoError(t, act(t, c, sim.Heal))
		require.Less(t, within(t, c, 10*time.Second, func() bool { return role(c, old.name) == sim.RoleFollower }), time.Second)
		require.Same(t, next, c.leader())

		began = c.Now()
		require.NoError(t, act(t, c, sim.Stop, next.name))
		require.Less(t, c.Now()-began, 500*time.Millisecond, "an orderly stop hands over")
		require.NoError(t, c.Write(t.Context(), nil, time.Second))
	}
}

func TestPredictsAFullQuota(t *testing.T) {
	t.Parallel()
	g := quiet(3)
	g.Quota = 20 << 20
	c := started(t, g, 1)
	ctx := t.Context()
	within(t, c, 15*time.Second, func() bool { return c.Write(ctx, nil, time.Second) == nil })
	require.NoError(t, act(t, c, sim.Fill))
	leader := c.leader().name
	require.EqualError(t, c.Write(ctx, nil, time.Second), "etcdserver: mvcc: database space exceeded")
	require.NoError(t, c.Read(ctx, leader, true, time.Second))
	s, err := c.Status(ctx, leader)
	require.NoError(t, err)
	require.Equal(t, []string{"NOSPACE"}, s.Alarms)
	require.NoError(t, act(t, c, sim.Disarm))
	require.Error(t, c.Write(ctx, nil, time.Second), "nothing was freed yet")
	require.NoError(t, act(t, c, sim.Compact))
	require.NoError(t, act(t, c, sim.Defrag, others(c)...))
	require.NoError(t, act(t, c, sim.Disarm))
	require.NoError(t, c.Write(ctx, nil, time.Second))
	var alarms []string
	for _, e := range c.Events() {
		if e.Kind == sim.EventAlarm {
			alarms = append(alarms, e.Text)
		}
	}
	require.Contains(t, alarms, "NOSPACE raised")
	require.Equal(t, "NOSPACE disarmed", alarms[len(alarms)-1])
}

func TestPredictsALearnerThatSurvives(t *testing.T) {
	t.Parallel()
	g := quiet(1)
	g.Learners = 1
	c := started(t, g, 1)
	require.NoError(t, c.Read(t.Context(), "m2", false, 10*time.Second))
	require.NoError(t, act(t, c, sim.Kill, "m1"))
	require.ErrorContains(t, act(t, c, sim.ForceNewCluster, "m2"), "removed all voters")
	require.NoError(t, act(t, c, sim.Rebuild, "m2"))
	require.Equal(t, uint64(1), c.Members()[1].Term, "a new cluster begins anew")
	within(t, c, 10*time.Second, func() bool { return c.Write(t.Context(), nil, time.Second) == nil })
}
