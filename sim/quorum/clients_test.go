package quorum

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// What the clients of the load saw adds up, second by second. A stretch without an
// acknowledged write has its beginning and its end, and the last one is open.
func TestTheLoadAddsUp(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Learners, g.Load.Reads = 1, 0
	c := started(t, g, 1)
	ctx := t.Context()
	require.NoError(t, c.Advance(ctx, 10*time.Second))
	require.Empty(t, c.Tally().Gaps)
	for _, s := range c.Tally().Silences {
		require.Positive(t, s.From, "before the first acknowledged write nothing was silent")
	}
	require.NoError(t, act(t, c, sim.Kill, c.leader().name))
	require.NoError(t, c.Advance(ctx, 20*time.Second))
	gaps := c.Tally().Gaps
	require.Len(t, gaps, 1)
	require.InDelta(t, 10, gaps[0].From.D().Seconds(), 0.1)
	require.InDelta(t, 12, gaps[0].Until.D().Seconds(), 1.5)
	require.Contains(t, c.Tally().Silences, gaps[0])

	require.NoError(t, act(t, c, sim.Kill, others(c)...))
	require.NoError(t, c.Advance(ctx, 25*time.Second))
	tally := c.Tally()
	require.Len(t, tally.Gaps, 2)
	require.InDelta(t, 20, tally.Gaps[1].From.D().Seconds(), 0.1)
	require.Zero(t, tally.Gaps[1].Until)

	require.Greater(t, tally.Acknowledged, 800)
	require.Greater(t, tally.Failed, 200, "five seconds in which there is nobody to ask")
	require.Equal(t, tally.Sent, tally.Acknowledged+tally.Failed)
	sum := sim.Bucket{}
	for second, b := range tally.Buckets {
		sum.Acknowledged, sum.Failed = sum.Acknowledged+b.Acknowledged, sum.Failed+b.Failed
		require.Equal(t, b.Acknowledged > 0, b.Slowest > 0, "second %d", second)
	}
	require.Equal(t, sim.Bucket{Acknowledged: tally.Acknowledged, Failed: tally.Failed}, sum)
	require.NotEmpty(t, c.ops.history(), "it is judged at the end")
	require.NotEmpty(t, tally.Failures)
	for _, f := range tally.Failures {
		require.Contains(t, []int{1, 2, 3, 4}, f.Client)
		require.Contains(t, []string{"m1", "m2", "m3"}, f.Member, "a learner is not asked")
		require.NotEmpty(t, f.Error)
	}
}

// What a restore has lost is counted, and twenty are named.
func TestLostWritesAreNamed(t *testing.T) {
	t.Parallel()
	g := quiet(3)
	g.Always = nil
	c := started(t, g, 1)
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	write := func(n int) {
		for range n {
			require.NoError(t, c.Write(t.Context(), nil, time.Second))
		}
	}
	write(3)
	require.NoError(t, act(t, c, sim.Save, c.leader().name))
	write(25)
	tally := c.Tally()
	require.Equal(t, []int{28, 28, 0}, []int{tally.Sent, tally.Acknowledged, tally.Lost})
	require.True(t, tally.LostKnown)
	require.NoError(t, act(t, c, sim.Kill, others(c)...))
	require.False(t, c.Tally().LostKnown, "there is nobody to ask")
	for _, verb := range []sim.Verb{sim.MoveLeader, sim.Save, sim.Remove, sim.Promote} {
		require.EqualError(t, act(t, c, verb, "m1"), "connection refused", verb)
	}
	require.NoError(t, act(t, c, sim.Restore, "m1"))
	within(t, c, 10*time.Second, func() bool { return c.Tally().LostKnown })
	tally = c.Tally()
	require.Equal(t, 25, tally.Lost)
	require.Len(t, tally.LostKeys, 20)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(tally.LostKeys))), 20)
}

// etcd does not sync a commit by itself, and its database every 100 ms: killed
// with the others, a leader forgets with --force-new-cluster what it acknowledged
// last.
func TestForceNewClusterLosesTheNewest(t *testing.T) {
	t.Parallel()
	for after, lost := range map[time.Duration]int{0: 1, 3 * backendInterval: 0} {
		g := quiet(3)
		g.Always = nil
		c := started(t, g, 1)
		within(t, c, 20*time.Second, func() bool { return serve(c) })
		require.NoError(t, c.Advance(t.Context(), c.Now()+time.Second))
		require.NoError(t, c.Write(t.Context(), nil, time.Second))
		require.NoError(t, c.Advance(t.Context(), c.Now()+after))
		leader := c.leader().name
		require.NoError(t, act(t, c, sim.Kill, others(c)...))
		require.NoError(t, act(t, c, sim.ForceNewCluster, leader))
		within(t, c, 10*time.Second, func() bool { return c.Tally().LostKnown })
		require.Equal(t, lost, c.Tally().Lost, "killed after %s", after)
	}
}

// What a killed member has sent may still arrive, and may not.
func TestTheLastMessagesOfTheDead(t *testing.T) {
	t.Parallel()
	heard := map[bool]bool{}
	for seed := range uint64(20) {
		c := started(t, quiet(3), seed)
		within(t, c, 20*time.Second, func() bool { return serve(c) })
		require.NoError(t, c.Write(t.Context(), nil, time.Second))
		leader := c.leader()
		commit := leader.disk.hard.GetCommit()
		require.NoError(t, act(t, c, sim.Kill, leader.name))
		require.NoError(t, c.Advance(t.Context(), c.Now()+50*time.Millisecond))
		for _, m := range c.Members() {
			if m.Name != leader.name {
				heard[m.Commit == commit] = true
			}
		}
	}
	require.Len(t, heard, 2, "that the write is committed")
}

// A member answers clients once the cluster has its own announcement: what others
// announce is not enough.
func TestServesAfterItsOwnAnnouncement(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	require.NoError(t, c.Advance(t.Context(), c.Now()+time.Second))
	followers := others(c, c.leader().name)
	mute, other := followers[0], followers[1]
	require.NoError(t, act(t, c, sim.OneWay, mute)) // it hears all, and is not heard
	for _, name := range followers {
		require.NoError(t, act(t, c, sim.Kill, name))
		require.NoError(t, act(t, c, sim.Start, name))
	}
	require.NoError(t, c.Read(t.Context(), other, false, 5*time.Second))
	require.NoError(t, c.Write(t.Context(), nil, time.Second))
	require.NoError(t, c.Advance(t.Context(), c.Now()+time.Second))
	members := c.Members()
	require.Equal(t, members[c.leader().id-1].Applied, members[c.byName(mute).id-1].Applied)
	require.EqualError(t, c.Read(t.Context(), mute, false, time.Second), "context deadline exceeded")
	require.NoError(t, act(t, c, sim.Heal))
	require.NoError(t, c.Read(t.Context(), mute, false, 10*time.Second))
}

// Reads and writes cost round trips, not ticks; a member that stands still answers
// nobody, and is not waited for.
func TestAnswersTakeRoundTrips(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	ctx := t.Context()
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	old := c.leader().name
	for _, name := range slices.Repeat(others(c), 10) {
		began := c.Now()
		require.NoError(t, c.Read(ctx, name, true, time.Second))
		require.NoError(t, c.Write(ctx, []string{name}, time.Second))
		require.Less(t, c.Now()-began, 40*time.Millisecond)
	}
	require.NoError(t, c.Do(ctx, sim.Action{Verb: sim.ClockPause, Targets: []sim.Selector{sim.Selector(old)}, By: sim.Duration(10 * time.Second)}))
	require.EqualError(t, c.Read(ctx, old, false, time.Second), "context deadline exceeded")
	within(t, c, 5*time.Second, func() bool { return leads(c) && c.leader().name != old })
	require.NoError(t, c.Advance(ctx, c.Now()+10*time.Second))
	require.NoError(t, c.Read(ctx, old, true, time.Second))
	require.Equal(t, sim.RoleFollower, role(c, old))
}

// Who is cut off one way only is not reached.
func TestReachable(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	reachable := func() (list []int) {
		for _, m := range c.Members() {
			list = append(list, m.Reachable)
		}
		return list
	}
	require.Equal(t, []int{3, 3, 3}, reachable())
	require.NoError(t, c.Do(t.Context(), sim.Action{Verb: sim.OneWay, Targets: []sim.Selector{"m1"}, Against: []sim.Selector{"m2"}}))
	require.Equal(t, []int{2, 2, 3}, reachable())
	require.NoError(t, act(t, c, sim.Isolate, "m3"))
	require.Equal(t, []int{1, 1, 1}, reachable())
	require.NoError(t, act(t, c, sim.Heal))
	require.NoError(t, act(t, c, sim.Kill, "m3"))
	require.Equal(t, []int{2, 2, 0}, reachable())
}

// The witness of an ambush dies once it has voted, is started again, and the
// timeline says so.
func TestAmbush(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	candidate := others(c, c.leader().name)[0]
	require.NoError(t, act(t, c, sim.Ambush, candidate))
	witness := c.trap.witness
	lives := witness.gen
	require.NoError(t, act(t, c, sim.MoveLeader, candidate), "it has the vote")
	require.True(t, witness.running())
	require.Equal(t, lives+1, witness.gen)
	require.True(t, slices.ContainsFunc(c.Events(), func(e sim.Event) bool {
		return e.Member == witness.name && e.Text == "killed after its vote, and started"
	}))
	require.NoError(t, act(t, c, sim.Heal))
	within(t, c, 10*time.Second, func() bool { return c.Write(t.Context(), nil, time.Second) == nil })
}

// A write during which an invariant broke says so, and is not tried elsewhere.
func TestWriteTellsABrokenInvariant(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	forge := CommitWithoutQuorum().broken.forge
	c.broken.forge = func(c *Cluster, from *member, msg *pb.Message) {
		if len(msg.GetEntries()) > 0 {
			c.broken.forge = nil
			forge(c, from, msg)
		}
	}
	require.ErrorIs(t, c.Write(t.Context(), nil, time.Second), sim.ErrInvariant)
	require.Equal(t, 1, c.Tally().Sent)
}

// The load's history is judged: a read of what was overwritten fits no order. What
// was not answered may have happened at any time, or never.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	type op struct {
		read       bool
		begin, end int // seconds; an end of 0 is no answer
		id, value  uint64
	}
	for name, tc := range map[string]struct {
		ops   []op
		holds bool
	}{
		"one after the other": {[]op{{begin: 1, end: 2, id: 7}, {read: true, begin: 3, end: 4, id: 8, value: 7}}, true},
		"of what was overwritten": {[]op{
			{begin: 1, end: 2, id: 7}, {begin: 3, end: 4, id: 8}, {read: true, begin: 5, end: 6, id: 9, value: 7},
		}, false},
		"side by side": {[]op{
			{begin: 1, end: 2, id: 7}, {begin: 3, end: 6, id: 8}, {read: true, begin: 4, end: 5, id: 9, value: 7},
		}, true},
		"unanswered and read":                     {[]op{{begin: 1, id: 7}, {read: true, begin: 3, end: 4, id: 8, value: 7}}, true},
		"unanswered, and read before it was sent": {[]op{{read: true, begin: 1, end: 2, id: 7, value: 8}, {begin: 3, id: 8}}, false},
		"of nothing that was written":             {[]op{{begin: 1, id: 7}, {read: true, begin: 3, end: 4, id: 8, value: 9}}, false},
		"unanswered read":                         {[]op{{begin: 1, end: 2, id: 7}, {read: true, begin: 3, id: 8}}, true},
	} {
		c := started(t, quiet(1), 1)
		for _, o := range tc.ops {
			r := &request{id: o.id, read: o.read, value: o.value}
			c.ops.begin(time.Duration(o.begin)*time.Second, r)
			if o.end == 0 {
				r.err = errClient(textDeadline)
			}
			c.ops.end(time.Duration(o.end)*time.Second, r)
		}
		err := c.Linearizable(t.Context())
		if tc.holds {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, sim.ErrInvariant, name)
		}
	}
	g := quiet(1)
	g.Always = nil
	require.ErrorIs(t, started(t, g, 1).Linearizable(t.Context()), sim.ErrUnsupported, "no history was kept")
}

// Runs that differ in one field of one message have different digests.
func TestDigestHasTheMessages(t *testing.T) {
	t.Parallel()
	digests := map[string]bool{}
	for _, msg := range []*pb.Message{
		{Type: pb.MsgApp.Enum()}, {Type: pb.MsgHeartbeat.Enum()}, {Type: pb.MsgApp.Enum(), From: new(uint64(2))}, {Type: pb.MsgApp.Enum(), Term: new(uint64(2))},
		{Type: pb.MsgApp.Enum(), Index: new(uint64(2))}, {Type: pb.MsgApp.Enum(), Commit: new(uint64(2))}, {Type: pb.MsgApp.Enum(), Entries: []*pb.Entry{{}}},
	} {
		c := started(t, quiet(1), 1)
		c.fold(&event{kind: eventMessage, msg: msg})
		digests[c.Digest()] = true
	}
	require.Len(t, digests, 7)
}

// A read that nobody confirms is asked for again; what a member that stood still
// was sent, it reads when it goes on; a request ends in time, whoever is down.
func TestWhatIsLateArrives(t *testing.T) {
	t.Parallel()
	c := started(t, quiet(3), 1)
	ctx := t.Context()
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	leader := c.leader()
	other := c.byName(others(c, leader.name)[0])
	require.NoError(t, act(t, c, sim.Isolate, other.name))
	for _, m := range c.members {
		require.Equal(t, m != other, c.links[other.id-1][m.id-1].cut)
		require.Equal(t, m != other, c.links[m.id-1][other.id-1].cut)
	}
	r := &request{read: true, deadline: c.now + 5*time.Second}
	c.submit(other, r)
	require.NoError(t, c.Advance(ctx, c.Now()+100*time.Millisecond))
	require.NoError(t, act(t, c, sim.Heal))
	require.NoError(t, c.Advance(ctx, c.Now()+700*time.Millisecond))
	require.True(t, r.done)
	require.NoError(t, r.err)

	pause := sim.Action{Verb: sim.ClockPause, Targets: []sim.Selector{sim.Selector(other.name)}, By: sim.Duration(50 * time.Millisecond)}
	require.NoError(t, c.Do(ctx, pause))
	for range 3 {
		require.NoError(t, c.Write(ctx, nil, time.Second))
	}
	require.NoError(t, c.Advance(ctx, other.paused+10*time.Millisecond))
	require.Equal(t, leader.state.applied, other.state.applied)

	g := given(3)
	g.Load.Reads = 0
	c = started(t, g, 1)
	within(t, c, 20*time.Second, func() bool { return serve(c) })
	require.NoError(t, act(t, c, sim.Kill, "m1", "m2"))
	failed := c.Tally().Failed
	require.NoError(t, c.Advance(ctx, c.Now()+10*time.Second))
	require.GreaterOrEqual(t, c.Tally().Failed-failed, 16, "each of four clients asks again every two seconds")
}
