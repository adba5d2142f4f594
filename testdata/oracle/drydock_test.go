package oracle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestRecreateDrydock takes a backup of what must not come back as it was, and
// looks at the new cluster a second time when its controllers have had a minute:
// nothing refused, nothing garbage-collected, no claim bound to foreign data,
// nothing run twice.
func TestRecreateDrydock(t *testing.T) {
	program := findLifeboat(t)
	lost := startCluster(t)
	out := lost.run(t,
		"kubectl apply -f testdata/drydock.yaml",
		"kubectl wait --for=condition=Established --timeout=60s crd/voyages.drydock.example.com",
		"kubectl apply -f testdata/voyages.yaml",
		`kubectl -n drydock patch voyage ended --subresource=status --type=merge -p '{"status":{"completionTime":"2026-01-01T00:00:00Z",
			"conditions":[{"type":"Complete","status":"True"}]}}'`,
	)
	require.Empty(t, out.refused)
	lost.settle(t)
	keys := []string{"-A", "--encryption-config", lost.host.path("encryption.yaml")}
	dir, next := program.extract(t, lost.snapshot(t), keys...)

	c := startCluster(t)
	c.recreate(t, dir, next)
	c.settle(t)
	again, _ := program.extract(t, c.snapshot(t), keys...)
	assertSameTrees(t, readTree(t, dir), readTree(t, again))

	require.Empty(t, c.run(t, "kubectl -n drydock patch quota counted --type=merge -p '{\"spec\":{\"hard\":{\"persistentvolumeclaims\":\"3\"}}}'",
		"kubectl -n drydock patch statefulset queue --type=merge -p '{\"spec\":{\"replicas\":1}}'").refused)
	time.Sleep(time.Minute)
	requireSecondLook(t, c)
}

func requireSecondLook(t *testing.T, c *cluster) {
	t.Helper()
	const namespace = "drydock"
	ctx, core := t.Context(), c.client.CoreV1()

	made, err := core.PersistentVolumeClaims(namespace).Get(ctx, "data-queue-0", metav1.GetOptions{})
	require.NoError(t, err, "the claim of the StatefulSet is there")
	require.Nil(t, made.DeletionTimestamp)
	require.Empty(t, made.OwnerReferences)
	require.Equal(t, []string{"kubernetes.io/pvc-protection"}, made.Finalizers)

	volume, err := core.PersistentVolumes().Get(ctx, "of-a-claim-that-is-gone", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.VolumeReleased, volume.Status.Phase)
	claim, err := core.PersistentVolumeClaims(namespace).Get(ctx, "books", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.ClaimPending, claim.Status.Phase, "bound to the data of another")

	endpoints, err := core.Endpoints(namespace).Get(ctx, "outside", metav1.GetOptions{}) //nolint:staticcheck // operators have them still
	require.NoError(t, err)
	require.Equal(t, "192.0.2.7", endpoints.Subsets[0].Addresses[0].IP)
	slice, err := c.client.DiscoveryV1().EndpointSlices(namespace).Get(ctx, "outside-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.8"}, slice.Endpoints[0].Addresses)

	quota, err := core.ResourceQuotas(namespace).Get(ctx, "counted", metav1.GetOptions{})
	require.NoError(t, err)
	used := quota.Status.Used[corev1.ResourceConfigMaps]
	require.EqualValues(t, 4, used.Value()) // kube-root-ca.crt is one

	status := c.client.Discovery().RESTClient().Get().AbsPath("/apis/drydock.example.com/v1/namespaces/drydock/voyages/ended").Do(ctx).Error()
	require.True(t, apierrors.IsNotFound(status), "what had ended is back: %v", status)
}
