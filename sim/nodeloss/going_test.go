package nodeloss_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// A Pod that was on its way out when the backup was made has its successor in the
// backup already, where its owner does not wait for the end of it.
func TestGoingPodsAreNotMadeAgain(t *testing.T) {
	t.Parallel()
	policy := batchv1.Failed
	going := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	for owner, want := range map[string]nodeloss.Comeback{
		"ReplicaSet": nodeloss.Gone, "ReplicationController": nodeloss.Gone, "StatefulSet": nodeloss.AfterDelete, "DaemonSet": nodeloss.Stays, "Other": nodeloss.Unknown,
	} {
		got, why := nodeloss.NewOwners(nil).Comeback(pod("p", owner, going))
		require.Equal(t, want, got, "%s: %s", owner, why)
	}
	for want, job := range map[nodeloss.Comeback]*batchv1.Job{nodeloss.Gone: {}, nodeloss.AfterDelete: {Spec: batchv1.JobSpec{PodReplacementPolicy: &policy}}} {
		got, why := nodeloss.NewOwners([]runtime.Object{job}).Comeback(pod("p", "Job", going))
		require.Equal(t, want, got, why)
	}
}
