package nodes_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifeboat-dr/lifeboat/scenarios"
	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/drill"
	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/nodes"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// cluster is four nodes of one CPU in two zones: n1 and n2 in a, n3 and n4 in b.
func cluster(t *testing.T, pods ...*corev1.Pod) *nodes.Cluster {
	t.Helper()
	config, err := scheduler.DefaultConfig("")
	require.NoError(t, err)
	c := &nodes.Cluster{
		Objects: scheduler.Objects{Pods: pods},
		Options: scheduler.Options{Config: config, Order: scheduler.Order{By: scheduler.ByName}},
		Tuning:  nodeloss.Default(37),
	}
	size := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110")}
	for name, zone := range map[string]string{"n1": "a", "n2": "a", "n3": "b", "n4": "b"} {
		c.Objects.Nodes = append(c.Objects.Nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelHostname: name}},
			Status: corev1.NodeStatus{
				Capacity: size, Allocatable: size,
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			},
		})
	}
	return c
}

// pod runs on a node, asks for CPU and tolerates a lost node for five minutes.
func pod(namespace, name, node, cpu, owner string, priority int32) *corev1.Pod {
	limit := int64(300)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name)},
		Spec: corev1.PodSpec{
			NodeName: node, SchedulerName: corev1.DefaultSchedulerName, Priority: &priority,
			Tolerations: []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &limit}},
			Containers:  []corev1.Container{{Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if owner != "" {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: owner, Name: name, UID: types.UID("owner-" + name), Controller: &yes}}
	}
	return p
}

// judge runs a drill on a backup's cluster.
func judge(t *testing.T, c *nodes.Cluster, steps string) *sim.Report {
	t.Helper()
	data := []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: t\nengine: nodes\nsteps:\n" + steps)
	s, err := sim.Load("t.yaml", data)
	require.NoError(t, err)
	report, err := drill.Run(t.Context(), s, data, drill.Options{Nodes: c})
	require.NoError(t, err)
	return report
}

// latest is when the Pods of the n-th node of a zone are back at the latest, in
// whole seconds: after the detection, a toleration of 300 s, a token of the rate
// limit that was spent on nothing, and ten more seconds for each node before.
func latest(c *nodes.Cluster, n int) time.Duration {
	at := c.Tuning.Detection(nodeloss.Power).Max + 300*time.Second + time.Duration(n)*10*time.Second
	return (at + time.Second - 1).Truncate(time.Second)
}

// A Pod comes back when its node was noticed and its toleration is over, and
// the second of two nodes in a zone waits for its turn.
func TestBackWithin(t *testing.T) {
	t.Parallel()
	c := cluster(t, pod("shop", "web", "n1", "100m", "ReplicaSet", 0), pod("shop", "agent", "n1", "100m", "DaemonSet", 0), pod("other", "x", "n2", "100m", "ReplicaSet", 0))
	for n, step := range map[int]string{1: "lose-node: n1", 2: "lose-zone: a"} {
		for within, want := range map[time.Duration]sim.Verdict{latest(c, n): sim.Met, latest(c, n) - time.Second: sim.Deviated} {
			require.Equal(t, want, judge(t, c, "  - {do: {"+step+"}, expect: [{back-within: "+within.String()+"}]}\n").Verdict, "%s %s", step, within)
		}
	}
	require.InDelta(t, 6, latest(c, 1).Minutes(), 0.5, "about six minutes")

	r := judge(t, c, "  - {do: {lose-node: n3}, expect: [{back-within: 1s, namespace: shop}]}\n")
	require.Equal(t, sim.Deviated, r.Verdict, "nothing that had to move is no pass")
	require.Equal(t, `not checked: no Pod of namespace "shop" had to move after losing node n3`, r.Run.Steps[0].Checks[0].Observed)
	r = judge(t, c, "  - {do: {lose-node: each}, expect: [{back-within: 1s, namespace: shoop}]}\n")
	require.Equal(t, sim.Deviated, r.Verdict, "a namespace that does not exist is no pass")
}

// Who does not come back by himself is late whatever the time.
func TestNeverBack(t *testing.T) {
	t.Parallel()
	c := cluster(t, pod("shop", "db-0", "n1", "100m", "StatefulSet", 0), pod("shop", "bare", "n2", "100m", "", 0))
	r := judge(t, c, "  - {do: {lose-node: each}, expect: [{pending: 0}, {back-within: 24h}]}\n")
	checks := r.Run.Steps[0].Checks
	require.True(t, checks[0].Met, "there is room for the database once the old Pod is deleted")
	require.False(t, checks[1].Met)
	require.Equal(t, "1 not back after losing node n1, the worst of 2 such losses: shop/db-0 (delete the old Pod by force, or the Node, or taint it out-of-service)", checks[1].Observed)
}

// Pending counts those who are pushed out, too: the important Pod finds a
// place, and nobody has one for the Pod that stood there.
func TestPendingCountsThePushedOut(t *testing.T) {
	t.Parallel()
	c := cluster(t, pod("bank", "core", "n1", "800m", "ReplicaSet", 1000),
		pod("shop", "a", "n2", "800m", "ReplicaSet", 0), pod("shop", "b", "n3", "800m", "ReplicaSet", 0), pod("shop", "c", "n4", "800m", "ReplicaSet", 0))
	r := judge(t, c, `  - do: {lose-node: n1}
    expect: [{pending: 0, namespace: bank}, {back-within: `+latest(c, 1).String()+`, namespace: bank}, {pending: 1}, {pending: 0, namespace: shop}, {back-within: 24h, namespace: shop}]
`)
	checks := r.Run.Steps[0].Checks
	require.Len(t, checks, 5)
	for i, met := range []bool{true, true, true, false, false} {
		require.Equal(t, met, checks[i].Met, "%+v", checks[i])
	}
	require.Contains(t, checks[3].Observed, "shop/")
	require.Equal(t, `step "step 1": pending 0 in namespace shop`, r.Run.Cause)
}

// Every loss begins with the backup's cluster: what one step lost is there again
// in the next. Two nodes at once are more than two after each other.
func TestLossesDoNotAddUp(t *testing.T) {
	t.Parallel()
	c := cluster(t, pod("shop", "a", "n1", "600m", "ReplicaSet", 0), pod("shop", "b", "n2", "600m", "ReplicaSet", 0), pod("shop", "c", "n3", "600m", "ReplicaSet", 0))
	r := judge(t, c, `  - {name: one, do: {lose-node: n1}, expect: [{pending: 0}]}
  - {name: another, do: {lose-node: n2}, expect: [{pending: 0}]}
  - {name: both, do: {lose-node: [n1, n2]}, expect: [{pending: 1}, {pending: 0}]}
`)
	require.Equal(t, sim.Deviated, r.Verdict)
	require.Equal(t, `step "both": pending 0`, r.Run.Cause)
	require.Equal(t, []string{"zone a", "zone b"}, namesOf(judge(t, c, "  - {do: {lose-zone: each}}\n")))
	require.Equal(t, []string{"node n1", "node n2", "node n3", "node n4"}, namesOf(judge(t, c, "  - {do: {lose-node: each}}\n")))
}

func namesOf(r *sim.Report) (names []string) {
	for _, loss := range r.Run.Steps[0].Losses {
		names = append(names, loss.Name)
	}
	return names
}

// What is not there is not judged.
func TestNothingToLose(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for step, want := range map[string]string{"lose-node: n9": "no such node", "lose-zone: c": "no node is in that zone", "lose-node: [n1, n9]": "no such node"} {
		r := judge(t, c, "  - {do: {"+step+"}, expect: [{pending: 0}]}\n")
		require.Equal(t, sim.Aborted, r.Verdict)
		require.Contains(t, r.Reason, want)
	}
	require.Contains(t, judge(t, c, "  - {do: {lose-node: each}, expect: [{pending: 0}]}\n").Reason, "no Pod has a node")
	c.Objects.Nodes = nil
	require.Contains(t, judge(t, c, "  - {do: {lose-node: each}}\n").Reason, "no nodes")
}

// The same backup gives the same report, and names in it cannot break out of a
// page.
func TestReport(t *testing.T) {
	t.Parallel()
	hostile := pod("shop", "<script>|x", "n1", "100m", "ReplicaSet", 0)
	c := cluster(t, hostile)
	write := func() (page, markdown, report bytes.Buffer) {
		r := judge(t, c, "  - {do: {lose-node: each}, expect: [{back-within: 1s}]}\n")
		require.NoError(t, r.WriteHTML(&page))
		require.NoError(t, r.WriteMarkdown(&markdown))
		require.NoError(t, r.WriteJSON(&report))
		return page, markdown, report
	}
	page, markdown, report := write()
	again, _, _ := write()
	require.Equal(t, page.String(), again.String())
	require.NotContains(t, page.String(), "<script")
	require.Contains(t, page.String(), "&lt;script&gt;")
	require.Contains(t, markdown.String(), `<script>\|x`)
	require.Contains(t, report.String(), `"basis"`)
	require.Contains(t, markdown.String(), latest(c, 1).String())
}

// The drills that ship are met by a cluster with room and with controllers that
// make its Pods again.
func TestShippedDrillsAreMet(t *testing.T) {
	t.Parallel()
	c := cluster(t, pod("shop", "a", "n1", "200m", "ReplicaSet", 0), pod("shop", "b", "n3", "200m", "ReplicaSet", 0), pod("shop", "agent", "n4", "200m", "DaemonSet", 0))
	for _, name := range []string{"lose-a-node", "lose-a-zone"} {
		data, err := scenarios.Read(name)
		require.NoError(t, err)
		s, err := sim.Load(name+".yaml", data)
		require.NoError(t, err)
		report, err := drill.Run(t.Context(), s, data, drill.Options{Nodes: c})
		require.NoError(t, err)
		require.Equal(t, sim.Met, report.Verdict, report.Reason)
	}
}

// Without a backup there is nothing to lose.
func TestNeedsABackup(t *testing.T) {
	t.Parallel()
	s, err := sim.Load("t.yaml", []byte("apiVersion: lifeboat/v1\nkind: Drill\ntitle: t\nengine: nodes\nsteps: [{do: {lose-node: each}}]\n"))
	require.NoError(t, err)
	_, err = drill.Run(t.Context(), s, nil, drill.Options{})
	require.ErrorIs(t, err, drill.ErrBackup)
}
