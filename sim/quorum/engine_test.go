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
