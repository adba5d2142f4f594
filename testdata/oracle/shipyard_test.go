package oracle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecreateShipyard takes a backup of a cluster with what harbour has not:
// objects that every cluster makes by itself and that somebody changed,
// addresses and ports of a user's own, Jobs that run, a webhook that nobody
// answers. It is recreated on an empty cluster, whose backup gives the same
// bytes.
func TestRecreateShipyard(t *testing.T) {
	program := findLifeboat(t)
	lost := startCluster(t)
	out := lost.run(t,
		"kubectl apply -f testdata/shipyard.yaml",
		"kubectl wait --for=condition=Established --timeout=60s crd/cranes.yard.example.com",
		"kubectl apply -f testdata/cranes.yaml",
		// A ConfigMap that lives as long as a Secret does.
		`kubectl -n shipyard patch configmap strings --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Secret","name":"pull",
			"uid":"'$(kubectl -n shipyard get secret pull -o jsonpath={.metadata.uid})'"}]}}'`,
		`kubectl patch clusterrole system:node-problem-detector --type=json -p '[{"op":"add","path":"/rules/-","value":
			{"apiGroups":["yard.example.com"],"resources":["cranes"],"verbs":["get"]}}]'`,
		`kubectl patch flowschema probes --type=merge -p '{"metadata":{"annotations":{"apf.kubernetes.io/autoupdate-spec":"false"}},"spec":{"matchingPrecedence":3}}'`,
	)
	require.Empty(t, out.refused)
	lost.settle(t)
	backup := lost.snapshot(t)
	keys := []string{"-A", "--encryption-config", lost.host.path("encryption.yaml")}
	dir, next := program.extract(t, backup, keys...)

	c := startCluster(t)
	c.recreate(t, dir, next)
	c.settle(t)
	requireAsWritten(t, c)
	again, _ := program.extract(t, c.snapshot(t), keys...)

	// The one difference: the definition has a default that the server writes into
	// what it creates in v1, and had not written into what was made in v1alpha1.
	const defaulted = "75-customresources/cranes.yard.example.com_big.yaml"
	want := readTree(t, dir)
	want[defaulted] = strings.Replace(want[defaulted], "spec:\n", "spec:\n  hooks: 2\n", 1)
	assertSameTrees(t, want, readTree(t, again))
}

// requireAsWritten asks the server of the new cluster what it would have to
// change for each field to be as the operators wrote it. That two extractions
// are alike does not show it: a field could be lost in both.
func requireAsWritten(t *testing.T, c *cluster) {
	t.Helper()
	out := c.run(t, "kubectl diff --server-side --force-conflicts -f testdata/shipyard.yaml -f testdata/cranes.yaml")
	var changes []string
	for _, line := range out.refused {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		case strings.Contains(line, `{"apiVersion":`): // what kubectl apply wrote down about itself
		case strings.HasPrefix(line, "-"), strings.HasPrefix(line, "+"):
			changes = append(changes, line)
		}
	}
	require.Equal(t, []string{
		// A volume is kept until its data is known to be there.
		"-  persistentVolumeReclaimPolicy: Retain",
		"+  persistentVolumeReclaimPolicy: Delete",
		// Finalizers are their controllers' to set, as is the status.
		"-  generation: 1",
		"+  finalizers:",
		"+  - yard.example.com/park",
		"+  generation: 2",
		"+status:",
		"+  hooks: 1",
	}, changes, strings.Join(out.refused, "\n"))
}
