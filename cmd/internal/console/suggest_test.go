package console

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	namespaces := []string{"infra-production", "infra-production-2", "kube-system", "default"}
	require.Equal(t, []string{"infra-production", "infra-production-2"}, nearest("infra-prodution", namespaces))
	require.Equal(t, []string{"kube-system"}, nearest("kube", namespaces))
	require.Equal(t, []string{"default"}, nearest("Dfeault", namespaces), "swapped letters, case")
	require.Empty(t, nearest("xyzzy", namespaces))
	require.Empty(t, nearest("", namespaces))
}
