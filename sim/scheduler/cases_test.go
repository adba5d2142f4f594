package scheduler_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// cluster reads a file of testdata/cases.
func cluster(t testing.TB, name string) (objects scheduler.Objects) {
	t.Helper()
	data, err := os.ReadFile("testdata/cases/" + name + ".yaml")
	require.NoError(t, err)
	for _, document := range bytes.Split(data, []byte("---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		require.NoError(t, err, "%s", document)
		switch obj := obj.(type) {
		case *corev1.Node:
			objects.Nodes = append(objects.Nodes, obj)
		case *corev1.Pod:
			if obj.UID == "" {
				obj.UID = types.UID("pod-" + obj.Name)
			}
			objects.Pods = append(objects.Pods, obj)
		default:
			objects.Others = append(objects.Others, obj)
		}
	}
	return objects
}

func lose(t *testing.T, objects scheduler.Objects, nodes ...string) *scheduler.Loss {
	t.Helper()
	loss, err := scheduler.Lose(t.Context(), objects, scheduler.Options{}, "nodes", nodes)
	require.NoError(t, err)
	return loss
}

// placeTaken places Pods of a cluster as `place` does, and says where they go.
func placeTaken(t *testing.T, objects scheduler.Objects, pods []*corev1.Pod) (nodes, messages []string) {
	t.Helper()
	left, taken := objects.Take(pods)
	s := start(t, left, scheduler.Options{})
	for _, p := range taken {
		placed := place(t, s, p)
		nodes, messages = append(nodes, placed.Node), append(messages, placed.Message)
	}
	return nodes, messages
}

// The claim of a generic ephemeral volume belongs to one Pod: the successor gets
// a new one, and may go anywhere.
func TestEphemeralVolumeIsMadeAnew(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "ephemeral")
	loss := lose(t, objects, "w0")
	require.Equal(t, 1, loss.Placed, loss.Pods[0].Reason())
	require.Contains(t, []string{"w1", "w2"}, loss.Pods[0].Placement.Node)
	nodes, messages := placeTaken(t, objects, objects.Pods)
	require.NotEmpty(t, nodes[0], messages[0])

	// A class that binds at once has provisioned before the Pod is looked at; one
	// without a provisioner never does.
	class := objects.Others[0].(*storagev1.StorageClass)
	class.VolumeBindingMode = new(storagev1.VolumeBindingImmediate)
	class.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: []string{"z3"}}}}}
	loss = lose(t, objects, "w0")
	require.Equal(t, "w2", loss.Pods[0].Placement.Node, loss.Pods[0].Reason())
	class.Provisioner = "kubernetes.io/no-provisioner"
	require.Contains(t, lose(t, objects, "w0").Pods[0].Reason(), "unbound immediate PersistentVolumeClaims")
}

// A Pod that waits keeps its uid and its status, and so its claims.
func TestPendingPodKeepsItsClaims(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ephpending", "dra"} {
		objects := cluster(t, name)
		nodes, messages := placeTaken(t, objects, objects.Pending())
		require.Len(t, nodes, 1, name)
		require.NotEmpty(t, nodes[0], messages[0])
	}
}

// Claims out of a template: the successor has its own, and the old device is free
// when the old Pod is gone.
func TestDevicesAreClaimedAnew(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "dra")
	loss := lose(t, objects, "w0")
	require.Equal(t, 1, loss.Placed, loss.Pods[0].Reason())
	require.Contains(t, []string{"w1", "w2"}, loss.Pods[0].Placement.Node)

	objects.Nodes = objects.Nodes[:1] // one device, held by d0
	_, messages := placeTaken(t, objects, objects.Pending())
	require.Contains(t, messages[0], "cannot allocate all claims")
	nodes, messages := placeTaken(t, objects, objects.Pods[:1])
	require.Equal(t, []string{"w0"}, nodes, messages)
}

// Where the controllers have not come to it yet, their claims are made.
func TestClaimsAreProvided(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "dra")
	claim := objects.Others[len(objects.Others)-1].(*resourcev1.ResourceClaim)
	objects.Others = append(objects.Others[:len(objects.Others)-1], &resourcev1.ResourceClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "t"}, Spec: resourcev1.ResourceClaimTemplateSpec{Spec: claim.Spec},
	})
	objects.Pods[1].Status.ResourceClaimStatuses = nil
	nodes, messages := placeTaken(t, objects, objects.Pending())
	require.NotEmpty(t, nodes[0], messages[0])
	require.Nil(t, objects.Pods[1].Status.ResourceClaimStatuses, "what was given is not changed")

	objects = cluster(t, "ephpending")
	objects.Others = objects.Others[:1] // the class alone
	nodes, messages = placeTaken(t, objects, objects.Pending())
	require.NotEmpty(t, nodes[0], messages[0])
}

// A RuntimeClass adds its overhead, where its Pods may run, and what they
// tolerate: RuntimeClass is an admission plugin.
func TestRuntimeClassIsApplied(t *testing.T) {
	t.Parallel()
	objects, manifest := cluster(t, "rc"), cluster(t, "rc-pod").Pods[0]
	admitted, err := scheduler.Admit(manifest, objects.Others)
	require.NoError(t, err)
	require.Equal(t, "3", admitted.Spec.Overhead.Cpu().String())
	require.Equal(t, map[string]string{"kata": "yes"}, admitted.Spec.NodeSelector)
	_, messages := placeTaken(t, objects, []*corev1.Pod{admitted})
	require.Contains(t, messages[0], "1 Insufficient cpu", "2 and 3 of overhead on a node of 4")
	require.Contains(t, messages[0], "3 node(s) didn't match Pod's node affinity/selector")
	_, err = scheduler.Admit(manifest, nil)
	require.ErrorIs(t, err, scheduler.ErrRefused)
	require.ErrorContains(t, err, "RuntimeClass \"kata\" not found")
}

// A LimitRange gives requests to containers that have none, and refuses others.
func TestLimitRangeIsApplied(t *testing.T) {
	t.Parallel()
	manifest := cluster(t, "lr-pod").Pods[0]
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type:           corev1.LimitTypeContainer,
		DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")},
		Default:        corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")},
		Max:            corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5")},
	}}}}
	admitted, err := scheduler.Admit(manifest, []runtime.Object{limits})
	require.NoError(t, err)
	require.Equal(t, "3", admitted.Spec.Containers[0].Resources.Requests.Cpu().String())
	limits.Spec.Limits[0].Max[corev1.ResourceCPU] = resource.MustParse("1")
	_, err = scheduler.Admit(manifest, []runtime.Object{limits})
	require.ErrorContains(t, err, "maximum cpu usage per Container is 1")
	limits.Namespace = "other"
	admitted, err = scheduler.Admit(manifest, []runtime.Object{limits})
	require.NoError(t, err)
	require.Empty(t, admitted.Spec.Containers[0].Resources.Requests)
}

// What has a say in a cluster and none here is named.
func TestNotAsked(t *testing.T) {
	t.Parallel()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "compute"}}
	require.Equal(t, []string{"ResourceQuota compute"}, scheduler.NotAsked("shop", []runtime.Object{quota}))
	require.Empty(t, scheduler.NotAsked("default", []runtime.Object{quota}))
}

// The room that a nominated Pod waits for is not free to Pods of a lower priority.
func TestNominatedPodKeepsItsRoom(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "nom2")
	low, err := scheduler.Admit(cluster(t, "lo-pod").Pods[0], objects.Others)
	require.NoError(t, err)
	_, messages := placeTaken(t, objects, []*corev1.Pod{low})
	require.Contains(t, messages[0], "Insufficient cpu")
	high := low.DeepCopy()
	high.Spec.Priority = new(int32(2000))
	nodes, messages := placeTaken(t, objects, []*corev1.Pod{high})
	require.Equal(t, []string{"w0"}, nodes, messages)
	nodes, messages = placeTaken(t, objects, objects.Pending())
	require.Equal(t, []string{"w0"}, nodes, messages)
}

// An empty selector is every Pod of the namespace.
func TestBudgetOfEveryPod(t *testing.T) {
	t.Parallel()
	objects := cluster(t, "pdb")
	require.Equal(t, []scheduler.BudgetBreak{
		{Budget: "default/all", Desired: 3, AtOnce: 2, After: 3}, {Budget: "default/byapp", Desired: 3, AtOnce: 2, After: 3},
	}, lose(t, objects, "w0").Budgets)
}

// A spread is counted as PodTopologySpread counts it, and told when the loss
// broke it, not when it was so before.
func TestSkewsOfTheLossAlone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"skew-honor", "skew-before", "mlk"} {
		require.Empty(t, lose(t, cluster(t, name), "w0").Skews, name)
	}
	objects := cluster(t, "mlk") // counted over both revisions it would be one
	for _, p := range objects.Pods {
		for i := range p.Spec.TopologySpreadConstraints {
			p.Spec.TopologySpreadConstraints[i].WhenUnsatisfiable = corev1.ScheduleAnyway
			p.Spec.TopologySpreadConstraints[i].MinDomains = nil
		}
	}
	require.Empty(t, lose(t, objects, "w0").Skews)

	// Fewer domains than minDomains: the emptiest counts as none.
	minimum := cluster(t, "skew-honor")
	for _, p := range minimum.Pods {
		p.Spec.TopologySpreadConstraints[0].MinDomains = new(int32(3))
	}
	require.Equal(t, []scheduler.SkewBreak{{
		Namespace: "default", Selector: "app=a", Key: corev1.LabelHostname, MaxSkew: 1, Skew: 3, Before: 0, Hard: true,
	}}, lose(t, minimum, "w0").Skews)
}
