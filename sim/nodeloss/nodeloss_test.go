package nodeloss_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func node(name, zone string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func zoned(counts ...int) []*corev1.Node {
	var nodes []*corev1.Node
	for zone, n := range counts {
		for i := range n {
			nodes = append(nodes, node(fmt.Sprintf("z%d-n%02d", zone, i), fmt.Sprintf("z%d", zone)))
		}
	}
	return nodes
}

// uncounted is ready, and takes no part in how much of its zone is down.
func uncounted(name, zone string) *corev1.Node {
	n := node(name, zone)
	n.Labels["node.kubernetes.io/exclude-disruption"] = ""
	return n
}

// silent is not ready, and has other conditions that are true.
func silent(name, zone string) *corev1.Node {
	n := node(name, zone)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}}
	return n
}

// pod is on z0-n00 and tolerates both taints for 300 s, as admission makes it.
func pod(name, owner string, change ...func(*corev1.Pod)) *corev1.Pod {
	seconds, controls := int64(300), true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: "z0-n00"}}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "owner", Controller: &controls}}
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func claiming(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}}}
	}
}

func claim(name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
	}
}

func forecast(t *testing.T, tuning nodeloss.Tuning, cluster nodeloss.Cluster, fault nodeloss.Fault, lost ...string) *nodeloss.Report {
	t.Helper()
	r, err := tuning.Forecast(cluster, fault, lost, nil)
	require.NoError(t, err)
	return r
}

// The common numbers: about six minutes as it comes, about one as tuned.
func TestForecastTotals(t *testing.T) {
	t.Parallel()
	cluster := nodeloss.Cluster{Nodes: zoned(4, 2), Pods: []*corev1.Pod{pod("web", "ReplicaSet")}}
	tuned := nodeloss.Default(37)
	tuned.Grace, tuned.Period, tuned.Unreachable = 10*time.Second, time.Second, 50*time.Second

	for _, tc := range []struct {
		tuning     nodeloss.Tuning
		fault      nodeloss.Fault
		from, to   time.Duration // of the detection
		toleration time.Duration
	}{
		{nodeloss.Default(31), nodeloss.Power, 29 * time.Second, 51 * time.Second, 300 * time.Second},
		{nodeloss.Default(37), nodeloss.Power, 39 * time.Second, 62 * time.Second, 300 * time.Second},
		{tuned, nodeloss.Network, 0, 14 * time.Second, 50 * time.Second},
		{tuned, nodeloss.Runtime, 25 * time.Second, 42 * time.Second, 300 * time.Second}, // the tuning does not help
	} {
		p := forecast(t, tc.tuning, cluster, tc.fault, "z0-n00").Pods[0]
		require.GreaterOrEqual(t, p.Endpoints.Min, tc.from)
		require.LessOrEqual(t, p.Endpoints.Max, tc.to)
		want := p.Endpoints.Plus(tc.toleration)
		want.Max += 10 * time.Second // a token that was spent on nothing
		require.Equal(t, want, *p.Evicted)
		require.Equal(t, p.Evicted, p.Back)
		require.LessOrEqual(t, p.Evicted.Min, p.Evicted.Median)
		require.LessOrEqual(t, p.Evicted.Median, p.Evicted.Max)
	}
}

// No Pod is evicted before detection plus its toleration, none later than the
// taint's turn adds; whatever the flags are.
func TestForecastBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tuning := nodeloss.Default(37)
		tuning.Grace = time.Duration(rapid.IntRange(1, 120).Draw(rt, "grace")) * time.Second
		tuning.Period = time.Duration(rapid.IntRange(1, 15).Draw(rt, "period")) * time.Second
		lost := rapid.IntRange(1, 2).Draw(rt, "lost")
		cluster := nodeloss.Cluster{Nodes: zoned(6, 3)}
		var names []string
		for i := range lost {
			p := pod(fmt.Sprintf("p%d", i), "ReplicaSet")
			p.Spec.NodeName = fmt.Sprintf("z0-n%02d", i)
			*p.Spec.Tolerations[1].TolerationSeconds = int64(rapid.IntRange(0, 600).Draw(rt, "seconds"))
			names, cluster.Pods = append(names, p.Spec.NodeName), append(cluster.Pods, p)
		}
		r, err := tuning.Forecast(cluster, nodeloss.Power, names, nil)
		require.NoError(rt, err)
		require.GreaterOrEqual(rt, r.Detected.Min, tuning.Grace-tuning.RenewInterval())
		passes := tuning.Grace/tuning.Period + 2 // each of which may last a tenth of a second
		require.LessOrEqual(rt, r.Detected.Max, tuning.Grace+2*tuning.Period+passes*100*time.Millisecond)
		for i, p := range r.Pods {
			toleration := time.Duration(*cluster.Pods[i].Spec.Tolerations[1].TolerationSeconds) * time.Second
			require.GreaterOrEqual(rt, p.Evicted.Min, r.Detected.Min+toleration)
			require.LessOrEqual(rt, p.Evicted.Max, r.Detected.Max+toleration+time.Duration(lost-1)*10*time.Second+max(tuning.Period, 10*time.Second))
		}
	})
}

func TestZones(t *testing.T) {
	t.Parallel()
	onNode := func(i int) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.NodeName = fmt.Sprintf("z0-n%02d", i) }
	}
	names := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("z0-n%02d", i))
		}
		return list
	}
	for _, tc := range []struct {
		name   string
		nodes  []*corev1.Node
		lost   int
		state  nodeloss.ZoneState
		master bool
		last   time.Duration // until the last node is tainted; -1 never
	}{
		{"two of three", zoned(3, 3), 2, nodeloss.Normal, false, 10 * time.Second},
		{"three of five", zoned(5, 3), 3, nodeloss.PartialDisruption, false, -1},
		{"33 of 60", zoned(60, 3), 33, nodeloss.PartialDisruption, false, 3200 * time.Second},
		{"32 of 60", zoned(60, 3), 32, nodeloss.Normal, false, 310 * time.Second},
		{"28 of 50", zoned(50, 3), 28, nodeloss.PartialDisruption, false, -1}, // no large zone yet
		{"29 of 51", zoned(51, 3), 29, nodeloss.PartialDisruption, false, 2800 * time.Second},
		{"three of five, two that do not count", append(zoned(5, 3), uncounted("z0-x0", "z0"), uncounted("z0-x1", "z0")), 3, nodeloss.PartialDisruption, false, -1},
		{"one of two, and two that were down", append(zoned(2, 3), silent("z0-x0", "z0"), silent("z0-x1", "z0")), 1, nodeloss.PartialDisruption, false, -1},
		{"a whole zone", zoned(4, 2), 4, nodeloss.FullDisruption, false, 30 * time.Second},
		{"all there is", zoned(3), 3, nodeloss.FullDisruption, true, -1},
	} {
		cluster := nodeloss.Cluster{Nodes: tc.nodes, Pods: []*corev1.Pod{pod("last", "ReplicaSet", onNode(tc.lost-1))}}
		r := forecast(t, nodeloss.Default(37), cluster, nodeloss.Power, names(tc.lost)...)
		require.Equal(t, []nodeloss.Zone{{Name: "z0", State: tc.state}}, r.Zones, tc.name)
		require.Equal(t, tc.master, r.Master, tc.name)
		if tc.last < 0 {
			require.Nil(t, r.Pods[0].Evicted, tc.name)
			require.NotEmpty(t, r.Pods[0].Never, tc.name)
			require.Equal(t, tc.master, r.Early == 0, tc.name)
			if !tc.master { // the first at once, and one every ten seconds while they are found
				require.Equal(t, min(tc.lost, 1+int((r.Detected.Max-r.Detected.Min).Seconds()/10)), r.Early, tc.name)
			}
			continue
		}
		require.Equal(t, r.Detected.Plus(tc.last+300*time.Second).Median, r.Pods[0].Evicted.Median, tc.name)
	}
}

// Without a toleration a Pod goes at once; of several the first one that fits counts.
func TestToleration(t *testing.T) {
	t.Parallel()
	seconds := func(n int64) *int64 { return &n }
	const key = corev1.TaintNodeUnreachable
	all := corev1.Toleration{Operator: corev1.TolerationOpExists}
	for name, tc := range map[string]struct {
		has     []corev1.Toleration
		limit   time.Duration
		evicted bool
	}{
		"none":             {nil, 0, true},
		"of another taint": {[]corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists}}, 0, true},
		"for ever":         {[]corev1.Toleration{all}, 0, false},
		"the first":        {[]corev1.Toleration{{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(7)}, all}, 7 * time.Second, true},
		"less than none":   {[]corev1.Toleration{{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(-7)}}, 0, true},
		"scheduling alone": {[]corev1.Toleration{{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}, 0, true},
	} {
		limit, evicted := nodeloss.Toleration(&corev1.Pod{Spec: corev1.PodSpec{Tolerations: tc.has}}, key)
		require.Equal(t, tc.evicted, evicted, name)
		require.Equal(t, tc.limit, limit, name)
	}
}

func comebackCluster() nodeloss.Cluster {
	local := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-local"}}
	local.Spec.Local = &corev1.LocalVolumeSource{Path: "/data"}
	cloud := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-cloud"}}
	cloud.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	cloud.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com"}
	return nodeloss.Cluster{
		Nodes: zoned(4, 2),
		Pods: []*corev1.Pod{
			pod("agent", "DaemonSet"), pod("bare", ""), pod("db", "StatefulSet", claiming("local")), pod("job", "Job"),
			pod("own", "Ship"), pod("rwo", "ReplicaSet", claiming("cloud")), pod("web", "ReplicaSet"),
			pod("rooted", "ReplicaSet", func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }),
			pod("static", "Node", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }),
			pod("elsewhere", "ReplicaSet", func(p *corev1.Pod) { p.Spec.NodeName = "z1-n00" }),
			pod("ended", "Job", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		},
		Others: []runtime.Object{local, claim("local"), claim("cloud"), cloud},
	}
}

func TestWhoComesBack(t *testing.T) {
	t.Parallel()
	r := forecast(t, nodeloss.Default(37), comebackCluster(), nodeloss.Power, "z0-n00")
	got := map[string]nodeloss.Comeback{}
	for _, p := range r.Pods {
		got[p.Pod] = p.Comeback
		if p.Pod == "ns/web" || p.Pod == "ns/job" {
			require.NotNil(t, p.Back, p.Pod)
			require.Empty(t, p.Never, p.Pod)
			continue
		}
		require.Nil(t, p.Back, p.Pod)
		require.NotEmpty(t, p.Never, p.Pod)
	}
	require.Equal(t, map[string]nodeloss.Comeback{
		"ns/agent": nodeloss.Stays, "ns/bare": nodeloss.Gone, "ns/db": nodeloss.AfterDelete, "ns/job": nodeloss.Recreated, "ns/own": nodeloss.Unknown,
		"ns/rooted": nodeloss.Stays, "ns/rwo": nodeloss.Recreated, "ns/static": nodeloss.Stays, "ns/web": nodeloss.Recreated,
	}, got)
}

func TestFlapping(t *testing.T) {
	t.Parallel()
	tight := nodeloss.Default(37)
	require.Equal(t, nodeloss.Flapping{Slack: 39600 * time.Millisecond, Signals: 4}, tight.Flapping())
	tight.Grace, tight.Period = 10*time.Second, time.Second
	require.Equal(t, nodeloss.Flapping{Slack: -400 * time.Millisecond}, tight.Flapping(), "a renewal in time may come too late")
	tight.StatusReport = 10 * time.Second
	require.Equal(t, 1, tight.Flapping().Signals, "the status stands in")
	tight.Grace = 12 * time.Second
	require.Positive(t, tight.Flapping().Slack)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	cluster := nodeloss.Cluster{Nodes: zoned(1)}
	_, err := nodeloss.Default(37).Forecast(cluster, nodeloss.Power, []string{"nobody"}, nil)
	require.ErrorIs(t, err, nodeloss.ErrNoSuchNode)
	_, err = nodeloss.Default(37).Forecast(cluster, "fire", []string{"z0-n00"}, nil)
	require.ErrorIs(t, err, nodeloss.ErrTuning)
	_, err = nodeloss.Tuning{}.Forecast(cluster, nodeloss.Power, []string{"z0-n00"}, nil)
	require.ErrorIs(t, err, nodeloss.ErrTuning)
}

// Two tunings side by side, byte for byte; open testdata/tunings.html.
func TestReports(t *testing.T) {
	t.Parallel()
	tuned := nodeloss.Default(37)
	tuned.Period = time.Second
	places := map[string]nodeloss.Place{"ns/web": {Node: "z1-n01"}, "ns/job": {Message: "0/6 nodes are available: 6 <Insufficient> cpu."}}
	var reports []*nodeloss.Report
	for _, tuning := range []nodeloss.Tuning{nodeloss.Default(37), tuned.Compared(10*time.Second, 50*time.Second, 0)[1]} {
		r, err := tuning.Forecast(comebackCluster(), nodeloss.Power, []string{"z0-n00"}, places)
		require.NoError(t, err)
		reports = append(reports, r)
	}
	var page, text bytes.Buffer
	require.NoError(t, nodeloss.WriteHTML(&page, "node loss", reports...))
	require.NotContains(t, page.String(), "http", "the page asks nothing of a network")
	require.NotContains(t, page.String(), "<Insufficient>", "names out of a file are escaped")
	require.NoError(t, nodeloss.WriteText(&text, reports...))
	for golden, got := range map[string]string{"testdata/tunings.html": page.String(), "testdata/tunings.txt": text.String()} {
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
}

// The tuning to compare with has what was asked for, and of the rest what was there;
// a report of status is both tunings'.
func TestCompared(t *testing.T) {
	t.Parallel()
	own := nodeloss.Default(31)
	require.Equal(t, 40*time.Second, own.Grace)
	require.Equal(t, 50*time.Second, nodeloss.Default(32).Grace)
	require.Equal(t, []nodeloss.Tuning{own}, own.Compared(0, 0, 0))
	reports := own.Compared(0, 0, 10*time.Second)
	require.Len(t, reports, 1)
	require.Equal(t, 10*time.Second, reports[0].StatusReport)

	grace := own.Compared(20*time.Second, 0, 0)
	require.Equal(t, own, grace[0])
	require.Equal(t, "grace 20 s", grace[1].Name)
	require.Equal(t, [3]time.Duration{20 * time.Second, 5 * time.Second, 0}, [3]time.Duration{grace[1].Grace, grace[1].Period, grace[1].Unreachable})
	toleration := own.Compared(0, 30*time.Second, 0)
	require.Equal(t, "toleration 30 s", toleration[1].Name)
	require.Equal(t, [2]time.Duration{own.Grace, 30 * time.Second}, [2]time.Duration{toleration[1].Grace, toleration[1].Unreachable})

	deckhouse := own.LikeDeckhouse(40*time.Second).Compared(16*time.Second, 30*time.Second, 20*time.Second)
	require.Equal(t, "grace 16 s, toleration 30 s", deckhouse[1].Name)
	require.Equal(t, 2*time.Second, deckhouse[1].Period, "the rest follows the grace period")
	require.Equal(t, [2]time.Duration{20 * time.Second, 20 * time.Second}, [2]time.Duration{deckhouse[0].StatusReport, deckhouse[1].StatusReport})
	require.Contains(t, deckhouse[1].ModuleConfig(), "nodeMonitorGracePeriodSeconds: 16\n    failedNodePodEvictionTimeoutSeconds: 30\n")
	require.Empty(t, grace[1].ModuleConfig())
}

// A time is said in tenths below ten seconds, and in minutes from one on.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 400 * time.Millisecond: "0.4 s", -400 * time.Millisecond: "-0.4 s", 9 * time.Second: "9 s", 9900 * time.Millisecond: "9.9 s",
		10400 * time.Millisecond: "10 s", 59600 * time.Millisecond: "1 min 0 s", 343 * time.Second: "5 min 43 s",
	} {
		require.Equal(t, want, nodeloss.Seconds(d))
	}
}
