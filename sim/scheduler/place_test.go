package scheduler_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func TestPlaceExplains(t *testing.T) {
	t.Parallel()
	cordoned := node("n3", "b")
	cordoned.Spec.Unschedulable = true
	s := start(t, scheduler.Objects{
		Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b"), cordoned},
		Pods:  []*corev1.Pod{pod("busy", 3000, on("n1"))},
	}, scheduler.Options{})
	p := place(t, s, pod("new", 500))
	require.Equal(t, "n2", p.Node, "the emptier node wins")
	require.Empty(t, p.Message)
	require.Positive(t, p.Margin)
	require.Equal(t, 0, p.Start)
	require.Equal(t, 2, p.Feasible)
	byName := map[string]scheduler.NodeVerdict{}
	for _, v := range p.Nodes {
		byName[v.Node] = v
	}
	require.Equal(t, []scheduler.Rejection{{Plugin: "NodeUnschedulable", Reasons: []string{"node(s) were unschedulable"}}}, byName["n3"].Against)
	require.Equal(t, 1, byName["n2"].Rank)
	require.Equal(t, 2, byName["n1"].Rank)
	require.Equal(t, byName["n2"].Total-byName["n1"].Total, p.Margin)
	total := int64(0)
	for _, score := range byName["n2"].Scores {
		total += score.Weighted
		require.LessOrEqual(t, score.Normalized, int64(100))
	}
	require.Equal(t, byName["n2"].Total, total, "the plugins' scores add up")

	strict := spreadCluster(1, 1, 1, corev1.DoNotSchedule).Pods[0]
	strict.Name, strict.Spec.TopologySpreadConstraints[0].MaxSkew, strict.Spec.NodeSelector = "strict", 1, map[string]string{corev1.LabelHostname: "n2"}
	require.Equal(t, "n2", place(t, s, strict).Node)
	again := strict.DeepCopy()
	again.Name, again.UID = "again", "again"
	again.Spec.NodeSelector = nil
	again.Spec.TopologySpreadConstraints[0].TopologyKey = corev1.LabelTopologyZone
	spreadAgain := place(t, s, again)
	require.Equal(t, []scheduler.Rejection{{Plugin: "PodTopologySpread", Reasons: []string{"node(s) didn't match pod topology spread constraints"}}}, spreadAgain.Nodes[1].Against)
}

func TestPlacePending(t *testing.T) {
	t.Parallel()
	s := start(t, scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b")}}, scheduler.Options{})
	p := place(t, s, pod("huge", 5000))
	require.Empty(t, p.Node)
	require.Equal(t, "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.", p.Message)

	p = place(t, s, pod("claims", 100, func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "none"}}}}
	}))
	for _, v := range p.Nodes { // what is wrong with the Pod is so on every node
		require.Len(t, v.Against, 1)
		require.Equal(t, []string{`persistentvolumeclaim "none" not found`}, v.Against[0].Reasons)
		require.False(t, v.Skipped)
	}

	config, err := scheduler.ParseConfig([]byte("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:\n"+
		"- plugins: {multiPoint: {disabled: [{name: DefaultPreemption}]}, postFilter: {disabled: [{name: '*'}]}}\n"), "", false)
	require.NoError(t, err)
	s = start(t, scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a")}}, scheduler.Options{Config: config})
	require.Equal(t, "0/1 nodes are available: 1 Insufficient cpu.", place(t, s, pod("huge", 5000)).Message, "without preemption")
}

// A Pod of higher priority takes the place of the one that costs least.
func TestPlacePreempts(t *testing.T) {
	t.Parallel()
	s := start(t, scheduler.Objects{
		Nodes: []*corev1.Node{node("n1", "a"), node("n2", "b")},
		Pods:  []*corev1.Pod{pod("important", 3000, on("n1"), withPriority(10)), pod("cheap", 3000, on("n2"), withPriority(1))},
	}, scheduler.Options{})
	p := place(t, s, pod("urgent", 2000, withPriority(1000)))
	require.Equal(t, "n2", p.Node)
	require.Equal(t, &scheduler.Preemption{Node: "n2", Victims: []string{"default/cheap"}}, p.Preemption)
	require.Contains(t, p.Message, "0/2 nodes are available: 2 Insufficient cpu.")
	require.Len(t, s.Bound(), 2)
}

// Replicas fill one node after the other, and the next fits nowhere.
func TestPlaceReplicas(t *testing.T) {
	t.Parallel()
	s := start(t, scheduler.Objects{Nodes: []*corev1.Node{node("n1", "a"), node("n2", "a")}, Pods: []*corev1.Pod{pod("x", 1500, on("n1"))}}, scheduler.Options{})
	var went []string
	for i := range 6 {
		went = append(went, place(t, s, pod("p"+string(rune('0'+i)), 1000)).Node)
	}
	require.Equal(t, []string{"n2", "n2", "n1", "n2", "n1", "n2"}, went)
	p := place(t, s, pod("p6", 1000))
	require.Empty(t, p.Node)
	require.Contains(t, p.Message, "0/2 nodes are available: 2 Insufficient cpu.")
}

// The scheduler stops at the first filter that refuses; asked, all of them answer.
func TestPlaceAllReasons(t *testing.T) {
	t.Parallel()
	tainted := node("n1", "a")
	tainted.Spec.Taints = []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}
	objects := scheduler.Objects{Nodes: []*corev1.Node{tainted}}
	p := pod("huge", 5000, func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} })

	first := place(t, start(t, objects, scheduler.Options{}), p)
	require.Len(t, first.Nodes[0].Against, 1)
	all := place(t, start(t, objects, scheduler.Options{AllReasons: true}), p)
	require.Equal(t, first.Message, all.Message)
	var plugins []string
	for _, r := range all.Nodes[0].Against {
		plugins = append(plugins, r.Plugin)
	}
	require.Equal(t, first.Nodes[0].Against[0], all.Nodes[0].Against[0], "the one that the scheduler names comes first")
	require.ElementsMatch(t, []string{"TaintToleration", "NodeAffinity", "NodeResourcesFit"}, plugins)
}

// Same objects, same seed, same bytes.
func TestPlaceRepeats(t *testing.T) {
	t.Parallel()
	run := func() []byte {
		s := start(t, scheduler.Objects{Nodes: nodes(30, 3)}, scheduler.Options{Order: scheduler.Order{By: scheduler.BySeed, Seed: 7}})
		var out []*scheduler.Placement
		for i := range 40 {
			out = append(out, place(t, s, pod("p"+string(rune('A'+i)), 250)))
		}
		data, err := json.Marshal(out)
		require.NoError(t, err)
		return data
	}
	require.Equal(t, string(run()), string(run()))
}
