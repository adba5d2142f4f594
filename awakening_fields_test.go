package lifeboat

import (
	"testing"
	"time"

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

// A Pod goes when its toleration of the taint has run out, at once without one, and
// never where that has no end; of several the first one that fits counts.
func TestAwakeningOfPods(t *testing.T) {
	t.Parallel()
	tolerates := func(key string, seconds int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}
	}
	always := corev1.Toleration{Operator: corev1.TolerationOpExists}
	here, ended := corev1.PodSpec{NodeName: "n"}, corev1.PodStatus{Phase: corev1.PodSucceeded}
	with := func(list ...corev1.Toleration) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Tolerations: list}}
	}
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		pods  int
		after time.Duration
	}{
		"no toleration":         {with(), 1, 0},
		"a minute":              {with(tolerates(corev1.TaintNodeUnreachable, 60)), 1, time.Minute},
		"of anything":           {with(tolerates("", 60)), 1, time.Minute},
		"of another taint":      {with(tolerates(corev1.TaintNodeNotReady, 60)), 1, 0},
		"for ever":              {with(always), 0, 0},
		"a minute, then always": {with(tolerates(corev1.TaintNodeUnreachable, 60), always), 1, time.Minute},
		"always, then a minute": {with(always, tolerates(corev1.TaintNodeUnreachable, 60)), 0, 0},
		"on no node":            {&corev1.Pod{}, 0, 0},
		"ended":                 {&corev1.Pod{Spec: here, Status: ended}, 0, 0},
		"being deleted":         {&corev1.Pod{Spec: here, ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}}, 0, 0},
	} {
		var a Awakening
		a.pod(c.pod)
		require.Equal(t, Awakening{Pods: c.pods, After: c.after}, a, name)
	}
	a := Awakening{}
	a.pod(with(tolerates("", 60)))
	a.pod(with(tolerates("", 30)))
	a.pod(with(tolerates("", 90)))
	require.Equal(t, Awakening{Pods: 3, After: 30 * time.Second}, a, "the first of them")
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
