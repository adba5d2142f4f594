package scheduler_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// full is a disk that takes so many bytes.
type full int

func (f *full) Write(p []byte) (int, error) {
	if *f -= full(len(p)); *f < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

// What is shown of placements: the node or what is against each, and why this one.
func TestWritePlacements(t *testing.T) {
	t.Parallel()
	list := []*scheduler.Placement{
		{Pod: "default/new", Node: "n1", Feasible: 2, Margin: 7, Wanted: 2, Filtered: 3, Start: 1, Nodes: []scheduler.NodeVerdict{
			{Node: "n2", Position: 1, Rank: 2, Total: 93, Scores: []scheduler.Score{{Plugin: "Fit", Raw: 3, Normalized: 30, Weighted: 60}}},
			{Node: "n1", Position: 0, Rank: 1, Total: 100},
			{Node: "n3", Position: 2, Against: []scheduler.Rejection{{Plugin: "Taints", Reasons: []string{"a", "b"}}}},
			{Node: "n4", Position: 3, Skipped: true},
		}},
		{Pod: "default/coin", Node: "n1", Feasible: 2, Ties: []string{"n1", "n2"}, Start: -1},
		{Pod: "default/one", Node: "n1", Feasible: 1, Start: -1},
		{Pod: "default/urgent", Node: "n1", Preemption: &scheduler.Preemption{Node: "n1", Victims: []string{"default/a", "default/b"}, Violations: 1}, Start: -1},
		{Pod: "default/huge", Message: "0/4 nodes are available", Start: -1},
	}
	shown := func(write func(w *bytes.Buffer) error) string {
		var page bytes.Buffer
		require.NoError(t, write(&page))
		return page.String()
	}
	summary := shown(func(w *bytes.Buffer) error { return scheduler.WriteSummary(w, list, false) })
	require.Equal(t, `5 Pods: 4 placed, 1 stay Pending

POD              NODE        WHY
default/new      n1          ahead by 7
default/coin     n1          one of 2 with the best score
default/one      n1          the only node that fits
default/urgent   n1          preempts default/a, default/b
default/huge     <pending>   0/4 nodes are available
`, summary)
	all := shown(func(w *bytes.Buffer) error { return scheduler.WritePlacements(w, list, false) })
	require.Equal(t, `default/new: n1, ahead by 7
  began at position 2, stops after 2 that fit: looked at 3, 2 fit
  POSITION   NODE   RANK   TOTAL   WHAT IS AGAINST IT
  2          n2     2      93      -
  1          n1     1      100     -
  3          n3     -      -       Taints: a; b
  4          n4     -      -       not looked at

default/coin: n1, one of 2 with the best score: n1, n2

default/one: n1, the only node that fits

default/urgent: n1, ahead by 0
  preempts on n1: default/a, default/b (1 against a PodDisruptionBudget)

default/huge: stays Pending
  0/4 nodes are available
`, all)
	require.Contains(t, shown(func(w *bytes.Buffer) error { return scheduler.WritePlacements(w, list, true) }), "  2          n2     2      93      Fit 3>30>60\n")
	room := full(100)
	require.Error(t, scheduler.WritePlacements(&room, list, false))

	fit := &scheduler.Fit{Pod: "default/new", Count: 12, Most: true, Nodes: []scheduler.NodeFit{{Node: "n1", Pods: 12}}}
	require.Equal(t, "default/new: at least 12 more fit\nNODE   MORE\nn1     12\n", shown(func(w *bytes.Buffer) error { return fit.WriteText(w) }))
	fit.Most, fit.Message = false, "Insufficient cpu"
	require.Contains(t, shown(func(w *bytes.Buffer) error { return fit.WriteText(w) }), "default/new: 12 more fit\n  the next one: Insufficient cpu\n")
	stability := []scheduler.Stability{
		{Pod: "default/a", Stable: true, Shares: []scheduler.Share{{Node: "n1", Runs: 4}}},
		{Pod: "default/b", Ties: 4, Shares: []scheduler.Share{{Node: "n1", Runs: 3}, {Node: "", Runs: 1}}},
	}
	require.Equal(t, `POD         ANSWER        TIES   NODES
default/a   stable        0/4    n1 100%
default/b   a coin flip   4/4    n1 75%, <pending> 25%
`, shown(func(w *bytes.Buffer) error { return scheduler.WriteStability(w, stability, 4) }))
}

// What is shown of a loss: what becomes of each Pod, what is broken, what is free.
func TestWriteLoss(t *testing.T) {
	t.Parallel()
	loss := &scheduler.Loss{
		Name: "node n1", Nodes: []string{"n1"}, Placed: 1, Pending: 1, Gone: 1, Blocked: 1, Assumed: 1,
		Pods: []scheduler.LostPod{
			{Pod: "default/web", From: "n1", Why: "its ReplicaSet makes another", Comeback: nodeloss.Recreated, Placement: &scheduler.Placement{Node: "n2"}},
			{Pod: "default/cheap", From: "n2", Cause: scheduler.Preempted, Why: "its ReplicaSet makes another", Comeback: nodeloss.Recreated, Placement: &scheduler.Placement{Node: "n2"}},
			{Pod: "default/bare", From: "n1", Why: "nobody makes it again", Data: "its emptyDir is lost", Comeback: nodeloss.Gone},
			{Pod: "default/agent", From: "n1", Why: "a DaemonSet's", Comeback: nodeloss.Stays},
			{Pod: "default/db", From: "n1", Why: "no eviction", Blocked: "no eviction", Comeback: nodeloss.Recreated},
		},
		Budgets: []scheduler.BudgetBreak{{Budget: "default/web", Desired: 2, AtOnce: 1, After: 2}},
		Skews:   []scheduler.SkewBreak{{Namespace: "default", Selector: "app=web", Key: "zone", MaxSkew: 1, Skew: 2}},
		Zones:   []scheduler.ZoneHeadroom{{Zone: "a", Nodes: 2, CPU: resource.MustParse("3"), Memory: resource.MustParse("4Gi"), Pods: 9}, {Nodes: 1}},
	}
	var page bytes.Buffer
	require.NoError(t, loss.WriteText(&page))
	require.Equal(t, `lost: node n1 (1 nodes): 1 Pods placed again, 1 stay Pending, 0 preempted, 1 gone for good, 1 cannot be evicted
1 of them belong to controllers that are not Kubernetes' own, and are taken to be made again

POD             FROM   TO          WHY
default/web     n1     n2          its ReplicaSet makes another
default/cheap   n2     n2          preempted; its ReplicaSet makes another
default/bare    n1     <gone>      nobody makes it again; its emptyDir is lost
default/agent   n1     <stays>     a DaemonSet's
default/db      n1     <blocked>   no eviction
PodDisruptionBudget default/web wants 2 healthy: 1 at once, 2 after
spread of app=web in default over zone: skew 2, was 0, at most 1 asked for

ZONE   NODES   CPU FREE   MEMORY FREE   PODS FREE
a      2       3          4Gi           9
-      1       0          0             0
`, page.String())
	page.Reset()
	require.NoError(t, scheduler.WriteLosses(&page, []*scheduler.Loss{loss, {Name: "node n9", Nodes: []string{"n9"}}}))
	require.Equal(t, `LOST      NODES   PODS          PLACED   PENDING   PREEMPTED   GONE   BUDGETS   SKEWS
node n1   1       5             1        1         0           1      1         1
node n9   1       not checked   0        0         0           0      0         0
`, page.String())
	room := full(300)
	require.Error(t, loss.WriteText(&room))
}

// What is to be lost has to be there, and to be one thing.
func TestTargetsByName(t *testing.T) {
	t.Parallel()
	region := func(n *corev1.Node, name string) *corev1.Node {
		n.Labels[corev1.LabelTopologyRegion] = name
		return n
	}
	list := []*corev1.Node{region(node("n1", "a"), "eu"), region(node("n2", "a"), "eu"), region(node("n3", "a"), "us"), region(node("n4", "b"), "us"), node("n5", "")}
	for _, name := range []string{"b", "us/b"} {
		target, err := scheduler.ZoneTarget(list, name)
		require.NoError(t, err)
		require.Equal(t, scheduler.Target{Name: "zone " + name, Nodes: []string{"n4"}}, target)
	}
	target, err := scheduler.ZoneTarget(list, "eu/a", "b")
	require.NoError(t, err)
	require.Equal(t, scheduler.Target{Name: "zone eu/a, b", Nodes: []string{"n1", "n2", "n4"}}, target)
	_, err = scheduler.ZoneTarget(list, "a")
	require.ErrorContains(t, err, `several regions have one: ["eu/a" "us/a"]`)
	for _, name := range []string{"c", ""} {
		_, err = scheduler.ZoneTarget(list, name)
		require.ErrorIs(t, err, scheduler.ErrNoSuchZone)
	}
	target, err = scheduler.NodeTarget(list, "n1", "n5")
	require.NoError(t, err)
	require.Equal(t, scheduler.Target{Name: "node n1, n5", Nodes: []string{"n1", "n5"}}, target)
	_, err = scheduler.NodeTarget(list, "n1", "n9")
	require.ErrorIs(t, err, scheduler.ErrNoSuchNode)
}

// New nodes are like the one that they are copied from, and empty.
func TestNewNodes(t *testing.T) {
	t.Parallel()
	old := node("n1", "a")
	old.Spec.Unschedulable = true
	old.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeUnschedulable}, {Key: "dedicated"}}
	added, err := scheduler.NewNodes([]*corev1.Node{old, node("n1-new-2", "a")}, []*corev1.Node{old}, 3)
	require.NoError(t, err)
	var names []string
	for _, n := range added {
		names = append(names, n.Name)
		require.Equal(t, n.Name, n.Labels[corev1.LabelHostname])
		require.Equal(t, "a", n.Labels[corev1.LabelTopologyZone])
		require.Equal(t, []corev1.Taint{{Key: "dedicated"}}, n.Spec.Taints)
		require.False(t, n.Spec.Unschedulable)
	}
	require.Equal(t, []string{"n1-new-1", "n1-new-3", "n1-new-4"}, names)
	require.Equal(t, "n1", old.Labels[corev1.LabelHostname], "what was given is not changed")
	first, err := scheduler.NewNodes(nil, []*corev1.Node{old}, 1)
	require.NoError(t, err)
	require.Equal(t, "n1", first[0].Name)
	_, err = scheduler.NewNodes(nil, []*corev1.Node{{}}, 1)
	require.ErrorIs(t, err, scheduler.ErrNoRoom)
}
