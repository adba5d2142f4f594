package drill_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// table answers what becomes of Pods with fixed values; sim/nodes holds the
// real scheduler's answers against the same expectations.
type table []sim.NodeLoss

func (l table) Lose(_ context.Context, a sim.Action) ([]sim.NodeLoss, error) {
	if a.Names()[0] == "nobody" {
		return nil, errors.New("no such node")
	}
	return l, nil
}

func (table) Pods(namespace string) int {
	if namespace == "" || namespace == "shop" {
		return 4
	}
	return 0
}

func (table) Basis() []string { return []string{"a table"} }

func after(d time.Duration) *sim.Duration {
	back := sim.Duration(d)
	return &back
}

// losses are of two nodes: after the first all four Pods of the shop have to
// move, after the second one.
func losses() table {
	moved := func(name string, back *sim.Duration, pending bool, why string) sim.PodFate {
		return sim.PodFate{Namespace: "shop", Name: name, Back: back, Pending: pending, Why: why}
	}
	return table{
		{Name: "node a", Pods: []sim.PodFate{
			moved("web-0", after(6*time.Minute), false, "evicted"), moved("web-1", nil, true, "no room"), moved("web-2", nil, true, "no room"),
			moved("web-3", nil, true, "no room"), moved("web-4", nil, true, "no room"),
			{Namespace: "shop", Name: "agent", Stays: true, Why: "DaemonSet"},
		}},
		{Name: "node b", Pods: []sim.PodFate{moved("web-1", nil, true, "no room")}},
	}
}

func onTable(t *testing.T, l table, steps string) *sim.Report {
	t.Helper()
	data := []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: t\nengine: nodes\nsteps:\n" + steps)
	s, err := sim.Load("t.yaml", data)
	require.NoError(t, err)
	report, err := drill.Run(t.Context(), s, data, drill.Options{Nodes: l})
	require.NoError(t, err)
	return report
}

// An expectation is met when it is met after every loss, and what is told is the worst.
func TestWorstLossDecides(t *testing.T) {
	t.Parallel()
	for expect, want := range map[string]struct {
		met      bool
		observed string
	}{
		"pending: 4": {true, "4 after losing node a, the worst of 2 such losses: shop/web-1 (no room), shop/web-2 (no room), shop/web-3 (no room), and 1 more"},
		"pending: 3": {false, "4 after losing node a, the worst of 2 such losses: shop/web-1 (no room), shop/web-2 (no room), shop/web-3 (no room), and 1 more"},
		"back-within: 24h": {
			false, "4 not back after losing node a, the worst of 2 such losses: shop/web-1 (no room), shop/web-2 (no room), shop/web-3 (no room), and 1 more",
		},
		"back-within: 24h, namespace: bank": {false, `no Pod of namespace "bank" in the backup`},
	} {
		run := onTable(t, losses(), "  - {do: {lose-node: each}, expect: [{"+expect+"}]}\n").Run
		require.Equal(t, sim.Check{Expected: run.Steps[0].Checks[0].Expected, Met: want.met, Observed: want.observed}, run.Steps[0].Checks[0], expect)
		require.Equal(t, want.met, run.Verdict == sim.Met, expect)
		turned := onTable(t, table{losses()[1], losses()[0]}, "  - {do: {lose-node: each}, expect: [{"+expect+"}]}\n").Run
		require.Equal(t, run.Steps[0].Checks, turned.Steps[0].Checks, "whichever is lost first")
	}
}

// Pods that belong to their node are not waited for, and those that are back are
// told with the slowest one.
func TestBackAtTheLatest(t *testing.T) {
	t.Parallel()
	back := losses()[:1]
	back[0].Pods = []sim.PodFate{back[0].Pods[0], back[0].Pods[5]}
	for within, want := range map[string]struct {
		verdict  sim.Verdict
		observed string
	}{
		"6m":    {sim.Met, "all back after 6m0s at the latest after losing node a"},
		"5m59s": {sim.Deviated, "1 not back after losing node a: shop/web-0 (after 6m0s: evicted)"},
	} {
		report := onTable(t, back, "  - {do: {lose-node: a}, expect: [{back-within: "+within+"}, {pending: 0}]}\n")
		require.Equal(t, want.verdict, report.Verdict, within)
		require.Equal(t, want.observed, report.Run.Steps[0].Checks[0].Observed)
		require.Equal(t, "0 after losing node a", report.Run.Steps[0].Checks[1].Observed)
	}
	back[0].Pods = back[0].Pods[1:]
	check := onTable(t, back, "  - {do: {lose-node: a}, expect: [{pending: 0}]}\n").Run.Steps[0].Checks[0]
	require.False(t, check.Met, "nothing that had to move proves nothing")
	require.Equal(t, "not checked: no Pod had to move after losing node a", check.Observed)
}

// A node that there is none of ends the run, and so does a drill that asks nothing.
func TestNodeDrillThatJudgesNothing(t *testing.T) {
	t.Parallel()
	report := onTable(t, losses(), "  - {name: one, do: {lose-node: nobody}, expect: [{pending: 9}]}\n  - {do: {lose-node: a}, expect: [{pending: 9}]}\n")
	require.Equal(t, sim.Aborted, report.Verdict)
	require.Equal(t, `step "one": no such node`, report.Run.Reason)
	require.Len(t, report.Run.Steps, 1, "what comes after it was not done")
	require.Equal(t, "no such node", report.Run.Steps[0].Done[0].Error)

	report = onTable(t, losses(), "  - {do: {lose-node: each}}\n")
	require.Equal(t, sim.Aborted, report.Verdict)
	require.Equal(t, "no step expects anything: nothing was judged", report.Run.Reason)
	require.Equal(t, []string{"a table"}, report.Run.Basis)

	_, data := load(t, "lose-a-node")
	s, err := sim.Load("lose-a-node.yaml", data)
	require.NoError(t, err)
	_, err = drill.Run(t.Context(), s, data, drill.Options{})
	require.ErrorIs(t, err, drill.ErrBackup)
	_, err = drill.Run(t.Context(), s, data, drill.Options{Nodes: losses(), Shard: drill.Shard{Index: 0, Of: 2}})
	require.ErrorIs(t, err, drill.ErrShard)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = drill.Run(ctx, s, data, drill.Options{Nodes: losses()})
	require.ErrorIs(t, err, context.Canceled)
}
