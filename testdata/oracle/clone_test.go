package oracle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCloneBesideTheOriginal creates infra-production, and then its clone beside
// it: nothing is refused, the clone names the old namespace nowhere, and the
// original is what it was.
func TestCloneBesideTheOriginal(t *testing.T) {
	const original, clone = "infra-production", "infra-copy"
	program, c := findLifeboat(t), startCluster(t)
	dir, next := program.extract(t, harbour, "--cluster", classes)
	c.recreate(t, dir, next)
	dir, next = program.extract(t, harbour, "-n", original)
	c.recreate(t, dir, next)
	c.settle(t)
	keys := []string{"--encryption-config", c.host.path("encryption.yaml")}
	before, _ := program.extract(t, c.snapshot(t), append(keys, "-n", original)...)

	copied, next := program.extract(t, harbour, "-n", original, "--to-namespace", clone)
	manifests := 0
	for name, content := range readTree(t, copied) {
		if strings.HasSuffix(name, ".collides") { // once in a cluster: named, and not among the commands
			continue
		}
		manifests++
		require.NotContains(t, strings.ReplaceAll(content, "infra-production-2", ""), original, name)
	}
	out := c.run(t, next...)
	require.Empty(t, out.refused)
	require.Equal(t, manifests, out.done, "objects created of those extracted")

	c.settle(t)
	requireInfraProduction(t, c)
	snapshot := c.snapshot(t)
	after, _ := program.extract(t, snapshot, append(keys, "-n", original)...)
	assertSameTrees(t, readTree(t, before), readTree(t, after))
	again, _ := program.extract(t, snapshot, append(keys, "-n", clone)...)
	require.Len(t, readTree(t, again), manifests, "nothing of the clone was collected as garbage")
	pods, err := c.client.CoreV1().Pods(clone).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items, "the controllers run the clone's workloads")
}
