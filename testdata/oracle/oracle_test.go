package oracle

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaces are those of harbour.
func namespaces() []string {
	return []string{
		"d8-system", "default", "etcdstoragepathtestnamespace", "infra-production", "infra-production-2",
		"kube-node-lease", "kube-public", "kube-system", "namespace1",
	}
}

// classes are cluster-scoped kinds that objects of a namespace name and cannot
// be created without. When a namespace is lost, they are still there.
const classes = "deviceclasses,ingressclasses,priorityclasses,runtimeclasses,storageclasses,volumeattributesclasses"

// TestRecreateNamespaces is the main job to its end, for every namespace of
// harbour: extract, kubectl create, and nothing is refused. The snapshot of the
// cluster that came out of it is extracted again, and gives the same bytes:
// nothing got lost on the way, nothing that servers and controllers add is in
// a manifest, and nothing fell to the garbage collector.
func TestRecreateNamespaces(t *testing.T) {
	program, c := findLifeboat(t), startCluster(t)
	dir, next := program.extract(t, harbour, "--cluster", classes)
	c.recreate(t, dir, next)

	restored := map[string]string{} // namespace → folder
	for _, namespace := range namespaces() {
		restored[namespace], next = program.extract(t, harbour, "-n", namespace)
		c.recreate(t, restored[namespace], next)
	}

	c.settle(t)
	requireInfraProduction(t, c)
	snapshot := c.snapshot(t)
	for _, namespace := range namespaces() {
		again, _ := program.extract(t, snapshot, "-n", namespace, "--encryption-config", c.host.path("encryption.yaml"))
		assertSameTrees(t, readTree(t, restored[namespace]), readTree(t, again))
	}
}

// TestRecreateCluster is the same for all that harbour holds, at once, on an
// empty cluster.
func TestRecreateCluster(t *testing.T) {
	program, c := findLifeboat(t), startCluster(t)
	dir, next := program.extract(t, harbour, "-A")
	c.recreate(t, dir, next)

	c.settle(t)
	requireInfraProduction(t, c)
	snapshot := c.snapshot(t)
	for _, engine := range []string{"direct", "etcd"} {
		again, _ := program.extract(t, snapshot, "-A", "--engine", engine, "--encryption-config", c.host.path("encryption.yaml"))
		assertSameTrees(t, readTree(t, dir), readTree(t, again))
	}
}

// requireInfraProduction looks at the namespace as its operator would: the
// disks are bound to the same claims and will outlive them, the load balancer
// finds its port, and what controllers make is there once.
func requireInfraProduction(t *testing.T, c *cluster) {
	t.Helper()
	const namespace = "infra-production"
	ctx, core := t.Context(), c.client.CoreV1()
	for _, replica := range []string{"0", "1"} {
		claim, err := core.PersistentVolumeClaims(namespace).Get(ctx, "data-db-"+replica, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, corev1.ClaimBound, claim.Status.Phase)
		volume, err := core.PersistentVolumes().Get(ctx, "pv-db-"+replica, metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, volume.Name, claim.Spec.VolumeName)
		require.Equal(t, claim.UID, volume.Spec.ClaimRef.UID)
		require.Equal(t, corev1.PersistentVolumeReclaimRetain, volume.Spec.PersistentVolumeReclaimPolicy)
	}
	service, err := core.Services(namespace).Get(ctx, "supercronic-explicit-nodeport", metav1.GetOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 30080, service.Spec.Ports[0].NodePort)
	token, err := core.Secrets(namespace).Get(ctx, "supercronic-token", metav1.GetOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, token.Data["token"], "the new cluster has signed a token")

	pods, err := core.Pods(namespace).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	count := map[string]int{} // by owner
	for _, pod := range pods.Items {
		owner := "nobody"
		if ref := metav1.GetControllerOf(&pod); ref != nil {
			owner = ref.Kind
		}
		count[owner]++
	}
	// No more than one of the StatefulSet's two, because nothing runs the first; no
	// DaemonSet's, because there are no Nodes.
	require.Equal(t, map[string]int{"ReplicaSet": 4, "StatefulSet": 1, "nobody": 1}, count)
}

// assertSameTrees tells which files of two folders differ, and where.
func assertSameTrees(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name, content := range want {
		again, ok := got[name]
		if assert.True(t, ok, "%s is not extracted again", name) {
			assert.Equal(t, content, again, name)
		}
	}
	for name, content := range got {
		_, ok := want[name]
		assert.True(t, ok, "%s is extracted again and was never created:\n%s", name, content)
	}
}
