package members

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// healthDelay is how long etcd wants a member to be connected before it counts
// in a change of membership (etcd server/etcdserver HealthInterval).
const healthDelay = 5 * time.Second

// Growing from one: a voter that was added and does not run stops all writes,
// and its start mends that. Promotion waits for the learner, and health rules
// for five seconds of connection.
func TestGrow(t *testing.T) {
	t.Parallel()
	c := start(t, given(1))
	ctx := t.Context()
	writes(t, c, 15*time.Second)

	do(t, c, sim.AddMember, "m2")
	require.Equal(t, sim.RoleDown, role(c, "m2"))
	list, err := c.MemberList(ctx, "m1")
	require.NoError(t, err)
	require.Equal(t, []sim.ListedMember{{Name: "m1", Started: true}, {Name: "m2"}}, list)
	began := c.Now()
	require.EqualError(t, c.Write(ctx, nil, 20*time.Second), "etcdserver: request timed out")
	require.InDelta(t, 7, (c.Now() - began).Seconds(), 3)
	require.Equal(t, rpctypes.ErrMemberNotEnoughStarted, c.try(ctx, sim.AddMember, "m3"))
	began = c.Now()
	do(t, c, sim.Start, "m2")
	t.Log("voter started: first write after", writes(t, c, 30*time.Second))
	if c.Now()-began < healthDelay-2*time.Second {
		require.Equal(t, rpctypes.ErrUnhealthy, c.try(ctx, sim.Remove, "m2"))
		require.Equal(t, rpctypes.ErrUnhealthy, c.try(ctx, sim.AddLearner, "m3"))
	}
	within(t, c, 15*time.Second, func() bool { return c.try(ctx, sim.AddLearner, "m3") == nil })
	require.Equal(t, rpctypes.ErrMemberLearnerNotReady, c.try(ctx, sim.Promote, "m3"))
	require.Equal(t, rpctypes.ErrTooManyLearners, c.try(ctx, sim.AddLearner, "m4"))
	do(t, c, sim.Start, "m3")
	within(t, c, 20*time.Second, func() bool { return c.Read(ctx, "m3", false, time.Second) == nil })
	require.EqualError(t, c.Read(ctx, "m3", true, time.Second), "etcdserver: rpc not supported for learner")
	require.Equal(t, sim.RoleLearner, role(c, "m3"))
	within(t, c, 15*time.Second, func() bool { return c.try(ctx, sim.Promote, "m3") == nil })

	// Back down: one that was connected a moment ago may not be taken away if
	// too few others were for long enough; later it may.
	do(t, c, sim.MoveLeader, "m1")
	require.Equal(t, "m1", leader(t, c, "m2", "m3"))
	within(t, c, 15*time.Second, func() bool { return c.try(ctx, sim.Remove, "m3") == nil })
	within(t, c, 15*time.Second, func() bool { return role(c, "m3") == sim.RoleRemoved })
	within(t, c, 5*time.Second, func() bool {
		return slices.ContainsFunc(c.Events(), func(e sim.Event) bool { return e.Member == "m3" && strings.Contains(e.Text, "etcd ended") })
	})
	require.Equal(t, rpctypes.ErrMemberNotFound, c.try(ctx, sim.Remove, "m3"))
	writes(t, c, 5*time.Second)
}

// A leader that is cut off steps down by itself; the others have elected
// another by then; healing brings it back as a follower, with the same term.
func TestIsolatedLeader(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Always = sim.AllInvariants()
	g.Load = sim.Workload{Writes: 60, Reads: 40, Clients: 6}
	c := start(t, g)
	writes(t, c, 15*time.Second)
	old := leader(t, c)
	do(t, c, sim.Isolate, old)
	next := leader(t, c, old)
	took := within(t, c, 10*time.Second, func() bool { return role(c, old) != sim.RoleLeader })
	t.Log("stepped down after the others had elected, by", took)
	require.EqualError(t, c.Write(t.Context(), []string{old}, time.Second), "context deadline exceeded")
	require.NoError(t, c.Write(t.Context(), []string{next}, enough))
	for _, m := range c.Members() {
		if m.Name == old {
			require.Equal(t, 1, m.Reachable)
		}
	}
	do(t, c, sim.Heal)
	took = within(t, c, 10*time.Second, func() bool { return role(c, old) == sim.RoleFollower })
	t.Log("healed after", took)
	require.Equal(t, next, leader(t, c), "pre-vote: it disturbs nobody")
	writes(t, c, 5*time.Second, old)
	tally := c.Tally()
	require.Positive(t, tally.Acknowledged)
	require.Zero(t, tally.Lost, "%q", tally.LostKeys)
	require.Equal(t, []sim.Invariant{sim.OneLeaderPerTerm, sim.AppliedMonotone, sim.AckedWritesSurvive, sim.Linearizable}, c.Checked())
	require.NoError(t, c.Linearizable(t.Context()))
}

// An orderly stop hands the lead over first: nobody has to wait for an election.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Load = sim.Workload{Writes: 100, Clients: 3}
	c := start(t, g)
	writes(t, c, 15*time.Second)
	within(t, c, 5*time.Second, func() bool { return c.Tally().Acknowledged > 20 })
	old := leader(t, c)
	gaps := len(c.Tally().Gaps)
	do(t, c, sim.Stop, old)
	acked := c.Tally().Acknowledged
	within(t, c, 5*time.Second, func() bool { return c.Tally().Acknowledged > acked+50 })
	require.Len(t, c.Tally().Gaps, gaps)
	require.Zero(t, c.Tally().Lost)
}

// What one direction alone does: a leader that hears nothing steps down, the
// others do not hear from a leader that is not heard.
func TestOneWay(t *testing.T) {
	t.Parallel()
	c := start(t, given(3))
	writes(t, c, 15*time.Second)
	old := leader(t, c)
	do(t, c, sim.OneWay, old)
	next := leader(t, c, old)
	require.NotEqual(t, old, next)
	within(t, c, 10*time.Second, func() bool { return role(c, old) != sim.RoleLeader })
	do(t, c, sim.Heal)
	within(t, c, 10*time.Second, func() bool { return role(c, old) == sim.RoleFollower })

	// Far apart, a write takes its time; so does a lost packet.
	far := sim.Action{Verb: sim.Delay, By: sim.Duration(100 * time.Millisecond)}
	for _, m := range c.Members() {
		far.Targets = append(far.Targets, sim.Selector(m.Name))
	}
	require.NoError(t, c.Do(t.Context(), far))
	lead := leader(t, c)
	began := c.Now()
	require.NoError(t, c.Write(t.Context(), []string{lead}, enough))
	require.Greater(t, c.Now()-began, 200*time.Millisecond, "there and back")
}

// A full quota: writes are refused, reads and deletes work; compaction,
// defragmentation and disarming mend it.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	g := given(1)
	require.ErrorIs(t, start(t, g).try(t.Context(), sim.Fill), errNoQuota)
	g.Quota = 8 << 20
	c := start(t, g)
	ctx := t.Context()
	writes(t, c, 15*time.Second)
	do(t, c, sim.Fill)
	require.EqualError(t, c.Write(ctx, nil, enough), "etcdserver: mvcc: database space exceeded")
	require.NoError(t, c.Read(ctx, "m1", true, enough))
	s, err := c.Status(ctx, "m1")
	require.NoError(t, err)
	require.Equal(t, []string{"NOSPACE"}, s.Alarms)
	api := c.member("m1").api()
	_, err = api.Delete(ctx, "/nothing")
	require.NoError(t, err)
	_, err = api.Txn(ctx).Then(clientv3.OpDelete("/nothing")).Commit()
	require.NoError(t, err)
	_, err = api.Txn(ctx).Then(clientv3.OpPut("/k", "v")).Commit()
	require.Equal(t, rpctypes.ErrNoSpace, err)
	_, err = api.Grant(ctx, 60)
	require.Equal(t, rpctypes.ErrNoSpace, err)

	do(t, c, sim.Disarm)
	_, err = api.Put(ctx, fillKey, strings.Repeat("x", fillValue)) // something small may just fit
	require.Equal(t, rpctypes.ErrNoSpace, err, "nothing was freed yet")
	do(t, c, sim.Compact)
	do(t, c, sim.Defrag, "m1")
	do(t, c, sim.Disarm)
	require.NoError(t, c.Write(ctx, nil, enough))
	require.NoError(t, c.Do(ctx, sim.Action{Verb: sim.RaiseQuota, Targets: []sim.Selector{"m1"}, Bytes: 16 << 20}))
	writes(t, c, 15*time.Second)
}
