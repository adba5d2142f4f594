package oracle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestOracleSaysNo shows that the other tests can fail: what was not cleaned
// is refused, or taken and then deleted by a controller.
func TestOracleSaysNo(t *testing.T) {
	program, c := findLifeboat(t), startCluster(t)

	t.Run("by hand", func(t *testing.T) {
		out := c.run(t, "kubectl create -R -f "+writeManifests(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: first, namespace: default}
---
apiVersion: v1
kind: Service
metadata: {name: second, namespace: default}
spec: {clusterIPs: [10.222.0.99], ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: third, namespace: default}
dada: {}
---
apiVersion: fleet.example.com/v1
kind: Ship
metadata: {name: fourth, namespace: default}
`))
		require.Equal(t, 1, out.done)
		refused := strings.Join(out.refused, "\n")
		require.Contains(t, refused, "must be empty when `clusterIP` is not specified")
		require.Contains(t, refused, `unknown field "dada"`)
		require.Contains(t, refused, `no matches for kind "Ship"`)
	})

	t.Run("as stored", func(t *testing.T) {
		const namespace = "infra-production"
		dir, _ := program.extract(t, harbour, "-n", namespace, "--profile", "raw")
		out := c.run(t, "kubectl create -R -f "+dir)
		refused := strings.Join(out.refused, "\n")
		require.Contains(t, refused, `Job.batch "migrate" is invalid`)
		require.Contains(t, refused, `serviceaccounts "default" already exists`)

		// Taken, and deleted for the uids of an account and of a ReplicaSet that are no
		// more: settle waits long enough for both controllers. The Pod says that it is on
		// a node, and stays until a kubelet would have stopped it.
		c.settle(t)
		_, err := c.client.CoreV1().Secrets(namespace).Get(t.Context(), "supercronic-token", metav1.GetOptions{})
		require.True(t, apierrors.IsNotFound(err), "%v", err)
		pod, err := c.client.CoreV1().Pods(namespace).Get(t.Context(), "supercronic-56b5b7bfd-bbznw", metav1.GetOptions{})
		require.NoError(t, err)
		require.NotNil(t, pod.DeletionTimestamp)
	})
}
