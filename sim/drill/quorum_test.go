package drill_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// A cluster of n stands the loss of less than half of its members, and an even
// size stands no more than the odd one below it. It is observed in every run,
// not computed.
func TestQuorumTable(t *testing.T) {
	t.Parallel()
	rows, err := drill.QuorumTable(t.Context(), sim.Range{First: 1, Last: 2})
	require.NoError(t, err)
	require.Len(t, rows, 9)
	for i, row := range rows {
		n := i + 1
		require.Equal(t, n, row.Members)
		require.Equal(t, n/2+1, row.Quorum)
		require.Equal(t, (n-1)/2, row.Stands, "%d members", n)
		require.Equal(t, n == 1 || n%2 == 1, row.Gain, "%d members", n)
		require.Equal(t, row.Stands > 0, row.Silence != nil, "%d members", n)
	}
}

// Where the quorum is kept nothing acknowledged is lost; where it is gone, both
// ways out are asked.
func TestAskQuorum(t *testing.T) {
	t.Parallel()
	seeds := sim.Range{First: 1, Last: 3}
	kept, err := drill.AskQuorum(t.Context(), 3, 1, seeds)
	require.NoError(t, err)
	require.Equal(t, 3, kept.Keeps)
	require.Equal(t, 2, kept.Quorum)
	require.NotNil(t, kept.Leaderless)
	require.Len(t, kept.Lost, 1)
	require.Empty(t, kept.Lost[0].After)
	require.Zero(t, kept.Lost[0].Most)

	gone, err := drill.AskQuorum(t.Context(), 4, 2, seeds)
	require.NoError(t, err)
	require.Zero(t, gone.Keeps)
	require.Nil(t, gone.Silence)
	require.Len(t, gone.Lost, 2)
	require.Equal(t, string(sim.ForceNewCluster), gone.Lost[0].After)
	require.Equal(t, string(sim.Rebuild), gone.Lost[1].After)

	dead, err := drill.AskQuorum(t.Context(), 3, 3, seeds)
	require.NoError(t, err)
	require.Zero(t, dead.Keeps)
	require.Empty(t, dead.Lost, "nobody is left who could say")
}

// The safe plan never stops writes. The hasty one does: a voter that does not run
// counts at once.
func TestPlanQuorum(t *testing.T) {
	t.Parallel()
	steps, err := drill.PlanQuorum(t.Context(), 1, 3)
	require.NoError(t, err)
	stopped := map[string]bool{}
	actions := map[string][]string{}
	for _, step := range steps {
		actions[step.Plan] = append(actions[step.Plan], step.Action)
		if step.Writes != "ok" {
			stopped[step.Plan] = true
		}
	}
	require.Equal(t, map[string]bool{"in haste": true}, stopped)
	require.Equal(t, []string{
		"add-learner n2", "start n2", "wait 6s", "promote n2", "wait 6s",
		"add-learner n3", "start n3", "wait 6s", "promote n3", "wait 6s",
	}, actions["safe"])
	require.Equal(t, []string{"add-member n2", "add-member n3"}, actions["in haste"])

	steps, err = drill.PlanQuorum(t.Context(), 3, 1)
	require.NoError(t, err)
	require.Len(t, steps, 4+4)
	for _, step := range steps[:4] {
		require.Equal(t, "ok", step.Says, step.Action)
		require.Equal(t, "ok", step.Writes, step.Action)
	}
}
