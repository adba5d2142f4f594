package host

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/sim/drill"
)

// What etcd says to each change of members is what its rules say when they run.
func TestRehearse(t *testing.T) {
	t.Parallel()
	b, err := opener(harbourArchive)(t.Context())
	require.NoError(t, err)
	defer b.Close()
	c, err := ReadCluster(t.Context(), b)
	require.NoError(t, err)
	l, err := c.ScaleDown()
	require.NoError(t, err)
	require.NoError(t, l.Rehearse(t.Context()))
	said := map[Sizes]string{}
	for _, item := range l.Items {
		if item.Members != nil {
			said[*item.Members] = item.Quorum
		} else {
			require.Empty(t, item.Quorum)
		}
	}
	require.Equal(t, map[Sizes]string{
		{3, 2}: "a quorum is 2 of 2; remove: etcd agrees, writes go on",
		{2, 1}: "a quorum is 1 of 1; remove: etcd agrees, writes go on; writes stop when the machine is switched off first",
	}, said)
}

func TestToldOfAPlan(t *testing.T) {
	t.Parallel()
	step := func(plan, action, says, writes string) drill.PlanStep {
		return drill.PlanStep{Plan: plan, Action: action, Says: says, Writes: writes}
	}
	require.Equal(t, "add-learner, promote: etcd agrees, writes go on; writes stop when the member is added before its machine runs", told([]drill.PlanStep{
		step(drill.Safe, "add-learner n2", "ok", "ok"), step(drill.Safe, "start n2", "ok", "ok"), step(drill.Safe, "promote n2", "ok", "ok"),
		step(drill.InHaste, "add-member n2", "ok", "context deadline exceeded"),
	}))
	require.Equal(t, `at promote etcd says "unhealthy cluster", and writes: "ok"`, told([]drill.PlanStep{
		step(drill.Safe, "add-learner n2", "ok", "ok"), step(drill.Safe, "promote n2", "unhealthy cluster", "ok"),
	}))
}
