package scheduler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// node makes a ready node of 4 CPUs and 8 GiB.
func node(name, zone string) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"),
		corev1.ResourcePods: resource.MustParse("110"),
	}
	labels := map[string]string{corev1.LabelHostname: name}
	if zone != "" {
		labels[corev1.LabelTopologyZone] = zone
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("node-" + name), Labels: labels},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

// nodes makes n nodes, spread over zones in turn.
func nodes(n, zones int) []*corev1.Node {
	list := make([]*corev1.Node, n)
	for i := range list {
		list[i] = node(fmt.Sprintf("n%04d", i), fmt.Sprintf("zone-%d", i%zones))
	}
	return list
}

// pod makes a Pod that asks for cpu millicores and 128 MiB.
func pod(name string, cpu int64, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("pod-" + name),
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
		},
		Spec: corev1.PodSpec{
			SchedulerName: corev1.DefaultSchedulerName,
			Containers: []corev1.Container{{Name: "c", Image: "registry/app:1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{
					corev1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI), corev1.ResourceMemory: resource.MustParse("128Mi"),
				},
			}}},
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func on(nodeName string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeName = nodeName }
}

func withPriority(value int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Priority = &value }
}

func start(t testing.TB, objects scheduler.Objects, opts scheduler.Options) *scheduler.Simulator {
	t.Helper()
	s, err := scheduler.New(t.Context(), objects, opts)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func place(t testing.TB, s *scheduler.Simulator, p *corev1.Pod) *scheduler.Placement {
	t.Helper()
	placed, err := s.Place(p, true)
	require.NoError(t, err, "%v", p.Spec)
	return placed
}

func ownedBy(kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		controls := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "owner", UID: "owner", Controller: &controls}}
	}
}
