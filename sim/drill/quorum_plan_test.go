package drill

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A plan that ends early says where and why, beside the steps that ran.
func TestPlanSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	ran, err := runPlan(t.Context(), "of nobody", 2, []string{"{wait: 1s}", "{kill: learner}", "{wait: 2s}"})
	require.Empty(t, ran)
	require.ErrorContains(t, err, "the selector learner picks nobody")

	ran, err = runPlan(t.Context(), "in vain", 2, []string{"{kill: all}", "{remove: follower}", "{wait: 2s}"})
	require.Len(t, ran, 1)
	require.ErrorContains(t, err, `the plan "in vain" ended at step 2 of 3: step "s1": remove: choosing "follower"`)
}
