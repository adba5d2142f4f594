package quorum

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
)

func given(members int) sim.Given {
	return sim.Given{
		Members: members, Tick: sim.Duration(100 * time.Millisecond), Election: sim.Duration(time.Second),
		Latency: sim.Duration(time.Millisecond), Spread: sim.Duration(time.Millisecond), Sync: sim.Duration(time.Millisecond),
		Load: sim.Workload{Writes: 50, Reads: 5, Clients: 4}, PreVote: true, Always: sim.AllInvariants(),
	}
}

func started(t *testing.T, g sim.Given, seed uint64) *Cluster {
	t.Helper()
	c, err := Engine{}.start(g, seed)
	require.NoError(t, err)
	return c
}

func act(t *testing.T, c *Cluster, verb sim.Verb, names ...string) error {
	t.Helper()
	a := sim.Action{Verb: verb}
	for _, n := range names {
		a.Targets = append(a.Targets, sim.Selector(n))
	}
	return c.Do(t.Context(), a)
}

func TestLeaderLossIsSurvived(t *testing.T) {
	t.Parallel()
	c := started(t, given(3), 1)
	require.NoError(t, c.Advance(t.Context(), 5*time.Second))
	leader := c.leader()
	require.NotNil(t, leader, "%+v", c.Members())
	require.NoError(t, c.Write(t.Context(), nil, time.Second))
	require.NoError(t, act(t, c, sim.Kill, leader.name))
	require.NoError(t, c.Advance(t.Context(), 10*time.Second))
	require.NotNil(t, c.leader())
	require.NoError(t, act(t, c, sim.Start, leader.name))
	require.NoError(t, c.Advance(t.Context(), 20*time.Second))
	tally := c.Tally()
	require.Greater(t, tally.Acknowledged, 500)
	require.Zero(t, tally.Lost)
	require.NoError(t, c.Linearizable(t.Context()))
	var applied []uint64
	for _, m := range c.Members() {
		applied = append(applied, m.Applied)
	}
	require.InDelta(t, applied[0], applied[1], 5)
	require.InDelta(t, applied[0], applied[2], 5)
	t.Logf("%+v %d events", tally.Gaps, c.Count())
}

// A defragmented file is as small after a restart: its size stands on the disk,
// not in the log. Without a compaction before it nothing is freed.
func TestDefragmentedFileStaysSmall(t *testing.T) {
	t.Parallel()
	g := given(3)
	g.Quota = 20 << 20
	c := started(t, g, 1)
	require.NoError(t, c.Advance(t.Context(), 5*time.Second))
	require.NoError(t, act(t, c, sim.Fill))
	require.NoError(t, act(t, c, sim.Defrag, "m1"))
	require.Greater(t, c.byName("m1").state.size, int64(18<<20))
	require.NoError(t, act(t, c, sim.Compact))
	require.Greater(t, c.byName("m1").state.size, int64(18<<20), "a compaction leaves the file as it is")
	require.NoError(t, act(t, c, sim.Defrag, "m1"))
	require.NoError(t, act(t, c, sim.Kill, "m1"))
	require.NoError(t, act(t, c, sim.Start, "m1"))
	require.NoError(t, c.Advance(t.Context(), c.Now()+5*time.Second))
	require.Less(t, c.byName("m1").state.size, int64(2<<20))
	require.Greater(t, c.byName("m1").state.size, int64(emptySize+10*writeBytes), "the newest values are left")
	require.Greater(t, c.byName("m2").state.size, int64(18<<20))
}
