package scheduler_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

func TestRefuses(t *testing.T) {
	t.Parallel()
	_, err := scheduler.New(t.Context(), scheduler.Objects{}, scheduler.Options{})
	require.ErrorIs(t, err, scheduler.ErrNoNodes)
	one := scheduler.Objects{Nodes: nodes(1, 1)}
	_, err = scheduler.New(t.Context(), one, scheduler.Options{Version: "newest"})
	require.ErrorIs(t, err, scheduler.ErrVersion)
	s := start(t, one, scheduler.Options{})
	_, err = s.Place(pod("p", 1, func(p *corev1.Pod) { p.Spec.SchedulerName = "volcano" }), false)
	require.ErrorIs(t, err, scheduler.ErrProfile)
	_, err = scheduler.New(t.Context(), one, scheduler.Options{Version: "1.35"})
	require.ErrorIs(t, err, scheduler.ErrVersion, "gates are the process's: another version cannot follow")
}

// A Pod with a scheduling gate is not looked at, and says so.
func TestGatedPod(t *testing.T) {
	t.Parallel()
	s := start(t, scheduler.Objects{Nodes: nodes(1, 1)}, scheduler.Options{})
	p := place(t, s, pod("p", 1, func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}} }))
	require.Empty(t, p.Node)
	require.Contains(t, p.Message, "waiting for scheduling gates")
}

func TestParseConfig(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
	c, err := scheduler.ParseConfig([]byte(head+"percentageOfNodesToScore: 30\nprofiles:\n- schedulerName: a\n- {schedulerName: b, percentageOfNodesToScore: 70}\n"), "", false)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, c.Profiles())
	require.EqualValues(t, 30, c.Percentage("a"))
	require.EqualValues(t, 70, c.Percentage("b"))

	custom := []byte(head + "profiles:\n- schedulerName: a\n  plugins: {score: {enabled: [{name: Own}]}}\n  pluginConfig: [{name: Own, args: {x: 1}}]\n")
	unknown := (*scheduler.UnknownPluginError)(nil)
	_, err = scheduler.ParseConfig(custom, "", false)
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, []string{"Own"}, unknown.Names)
	c, err = scheduler.ParseConfig(custom, "", true)
	require.NoError(t, err)
	require.Equal(t, []string{"Own"}, c.Skipped)
	s := start(t, scheduler.Objects{Nodes: nodes(1, 1)}, scheduler.Options{Config: c})
	require.Equal(t, "n0000", place(t, s, pod("p", 1, func(p *corev1.Pod) { p.Spec.SchedulerName = "a" })).Node)

	for _, text := range []string{
		"", "{", "kind: Pod", head + "percentageOfNodesToScore: 400", head + "nothing: here", head + "profiles: [{schedulerName: a}, {schedulerName: a}]",
	} {
		_, err := scheduler.ParseConfig([]byte(text), "", true)
		require.ErrorIs(t, err, scheduler.ErrConfig, text)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:\n- schedulerName: a\n  plugins: {score: {enabled: [{name: Own}]}}\n"))
	f.Add([]byte("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nextenders: [{urlPrefix: x}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := scheduler.ParseConfig(data, "", true); err == nil {
			require.NotEmpty(t, c.Profiles())
		}
	})
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	count := func(version string) int {
		known, err := scheduler.Differences(version)
		require.NoError(t, err, version)
		return len(known)
	}
	require.Zero(t, count("v1.37.1"))
	require.Equal(t, 1, count("1.36"))
	require.Equal(t, 5, count("v1.29.4"))
	require.Equal(t, 1, count("1.40"), "newer than the library")
	_, err := scheduler.Differences("soon")
	require.ErrorIs(t, err, scheduler.ErrVersion)
}

// A manifest becomes what the API server would store, or is refused in its words.
func TestAdmit(t *testing.T) {
	t.Parallel()
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 7, GlobalDefault: true}
	manifest := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	p, err := scheduler.Admit(manifest, []runtime.Object{class})
	require.NoError(t, err)
	require.EqualValues(t, 7, *p.Spec.Priority)
	require.Equal(t, corev1.DefaultSchedulerName, p.Spec.SchedulerName)
	require.Len(t, p.Spec.Tolerations, 2)
	require.EqualValues(t, 300, *p.Spec.Tolerations[1].TolerationSeconds)
	require.Nil(t, manifest.Spec.Priority, "the manifest is not changed")

	for words, change := range map[string]func(*corev1.Pod){
		"no PriorityClass with name low was found": func(p *corev1.Pod) { p.Spec.PriorityClassName = "low" },
		"must not be provided in pod spec":         func(p *corev1.Pod) { p.Spec.Priority = new(int32) },
		"spec.containers":                          func(p *corev1.Pod) { p.Spec.Containers = nil },
		"metadata.name":                            func(p *corev1.Pod) { p.Name = "Not A Name" },
	} {
		wrong := manifest.DeepCopy()
		change(wrong)
		_, err := scheduler.Admit(wrong, []runtime.Object{class})
		require.ErrorIs(t, err, scheduler.ErrRefused)
		require.ErrorContains(t, err, words)
	}
}

// No Pod is created in a namespace that is not there, or that is going.
func TestAdmitAsksTheNamespace(t *testing.T) {
	t.Parallel()
	namespaces := []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "going"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}},
	}
	for namespace, words := range map[string]string{"shop": "", "none": `namespaces "none" not found`, "going": "because it is being terminated"} {
		manifest := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		_, err := scheduler.Admit(manifest, namespaces)
		if words == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, scheduler.ErrRefused)
		require.ErrorContains(t, err, words)
	}
}
