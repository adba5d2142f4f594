package lifeboat

import (
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// What decides of a kind is among the fields that are looked at.
func TestAwakeningLooksAtWhatDecides(t *testing.T) {
	t.Parallel()
	yes, now := true, metav1.Unix(1, 0)
	suspended := &batchv1.CronJob{Spec: batchv1.CronJobSpec{Schedule: "* * * * *", Suspend: &yes}}
	require.Equal(t, &batchv1.CronJob{Spec: batchv1.CronJobSpec{Suspend: &yes}}, glance(t, "cronjobs/n/c", "batch/v1", "CronJob", suspended))
	going := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}
	seen := glance(t, "pods/n/p", "v1", "Pod", going).(*corev1.Pod)
	require.Equal(t, corev1.PodFailed, seen.Status.Phase)
	require.Equal(t, now.Unix(), seen.DeletionTimestamp.Unix())
	require.Empty(t, seen.Name)
}

func glance(t *testing.T, path, version, kind string, obj interface{ Marshal() ([]byte, error) }) runtime.Object {
	t.Helper()
	raw, err := obj.Marshal()
	require.NoError(t, err)
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: version, Kind: kind}, Raw: raw}
	value, err := unknown.Marshal()
	require.NoError(t, err)
	key, err := registry.ParseKey(registry.DefaultPrefix, "/registry/"+path)
	require.NoError(t, err)
	entry := registry.Entry{Key: key}
	entry.KV.Value = append([]byte("k8s\x00"), value...)
	o := registry.New(nil, registry.Options{}).Glance(t.Context(), entry, awakening[key.Resource()])
	require.Empty(t, o.Problems)
	return o.Typed
}
