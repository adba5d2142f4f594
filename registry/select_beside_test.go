package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
)

// The Pods of StatefulSet db have the label, the StatefulSet has not. It will
// make them again; as bare Pods they would stand in its way.
func TestChildrenOfWhatWasNotAskedForAreLeftOut(t *testing.T) {
	t.Parallel()
	selector, err := labels.Parse("app=db")
	require.NoError(t, err)
	selected, err := harbour(t, Options{}).Select(t.Context(), Selection{Namespaces: []string{"infra-production"}, Labels: selector})
	require.NoError(t, err)
	plan, err := Clean(selected.Objects, CleanOptions{Beside: selected.Beside})
	require.NoError(t, err)
	for _, m := range plan.Manifests {
		require.NotEqual(t, "Pod", m.Object.GVK.Kind, m.Object)
	}
	left := map[string]string{}
	for _, l := range plan.LeftOut {
		require.True(t, l.ByRule)
		left[l.Object.String()] = l.Reason
	}
	require.Equal(t, `StatefulSet "infra-production/db" makes it again, which is in the backup and was not asked for`,
		left["pods infra-production/db-0"])
}
