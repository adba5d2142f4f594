package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a person set on Nodes, which nothing else keeps.
func TestNodeCommandsGiveBackWhatAPersonSet(t *testing.T) {
	t.Parallel()
	plan := cleaned(t, objectsOfYAML(t, []byte(`apiVersion: v1
kind: Node
metadata:
  name: worker-1
  labels: {kubernetes.io/hostname: worker-1, beta.kubernetes.io/os: linux, topology.kubernetes.io/zone: a, disk: "fast one", node-role.kubernetes.io/db: ""}
spec:
  unschedulable: true
  taints:
  - {key: node.kubernetes.io/unschedulable, effect: NoSchedule}
  - {key: node.kubernetes.io/not-ready, effect: NoExecute}
  - {key: dedicated, value: db, effect: NoSchedule}
  - {key: gpu, effect: NoExecute}
---
apiVersion: v1
kind: Node
metadata:
  name: worker-2
  labels: {topology.kubernetes.io/zone: b, example.com/rack: r1, example.com/agent: "1"}
  managedFields:
  - {manager: kubelet, operation: Update, fieldsV1: {"f:metadata": {"f:labels": {"f:example.com/agent": {}}}}}
  - {manager: kubectl-label, operation: Update, fieldsV1: {"f:metadata": {"f:labels": {"f:topology.kubernetes.io/zone": {}}}}}
---
apiVersion: v1
kind: Node
metadata: {name: worker-3}
`)))
	commands, err := plan.NodeCommands()
	require.NoError(t, err)
	require.Equal(t, []string{
		"kubectl label --overwrite node worker-1 'disk=fast one' node-role.kubernetes.io/db=",
		"kubectl taint --overwrite node worker-1 dedicated=db:NoSchedule gpu:NoExecute",
		"kubectl cordon worker-1",
		"kubectl label --overwrite node worker-2 example.com/rack=r1 topology.kubernetes.io/zone=b",
	}, commands)
}
