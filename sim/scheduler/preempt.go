package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"
)

// pinnedName is under what name the pinned preemption is registered: a
// registry refuses a second plugin of an in-tree name.
const pinnedName = "PinnedDefaultPreemption"

// pinnedPreemption is DefaultPreemption without its two dice: where the search
// starts (getOffsetRand) and which of several equal candidates comes first out
// of a map (pickOneNodeForPreemption). Both become "in the order of the nodes".
//
// It also leaves out nodes on which nothing could be preempted, see victims.go.
type pinnedPreemption struct {
	*defaultpreemption.DefaultPreemption
	chooser *preemption.Evaluator // picks by the plugin's own rules
	groups  bool                  // Pods may be preempted by groups, whose priority is their own

	potential int                     // nodes of the search that is on, with those that were left out
	inVain    *framework.NodeToStatus // those of the search on which nothing can be preempted, and why
}

// GetOffsetAndNumCandidates starts at the first node; the number is the plugin's,
// for all nodes that it would have looked at.
func (p *pinnedPreemption) GetOffsetAndNumCandidates(int32) (int32, int32) {
	_, wanted := p.DefaultPreemption.GetOffsetAndNumCandidates(int32(p.potential))
	return 0, wanted
}

// CandidatesToVictimsMap is asked just before a candidate is picked. It leaves
// one: of those that the plugin's rules call equal to its pick, the first.
func (p *pinnedPreemption) CandidatesToVictimsMap(candidates []preemption.Candidate) map[string]*extenderv1.Victims {
	best := p.chooser.SelectCandidate(context.Background(), candidates)
	for _, c := range candidates {
		if rankOf(c.Victims()) == rankOf(best.Victims()) {
			best = c
			break
		}
	}
	return map[string]*extenderv1.Victims{best.Name(): best.Victims()}
}

// inOrder gives preemption its candidates in the order of the nodes. They come out
// of a map, and where there are many only the first are looked at.
type inOrder struct {
	fwk.NodeToStatusReader
	position map[string]int
}

// NodesForStatusCode is the map's answer, sorted.
func (o inOrder) NodesForStatusCode(lister fwk.NodeInfoLister, code fwk.Code) ([]fwk.NodeInfo, error) {
	nodes, err := o.NodeToStatusReader.NodesForStatusCode(lister, code)
	return o.sorted(nodes), err
}

func (o inOrder) sorted(nodes []fwk.NodeInfo) []fwk.NodeInfo {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b fwk.NodeInfo) int { return cmp.Compare(o.position[a.Node().Name], o.position[b.Node().Name]) })
	return nodes
}

// rank is what pickOneNodeForPreemption compares.
type rank struct {
	violations, highest, sum int64
	pods                     int
	started                  int64
}

func rankOf(v *extenderv1.Victims) rank {
	r := rank{violations: v.NumPDBViolations, pods: len(v.Pods)}
	if len(v.Pods) > 0 {
		r.highest = int64(corev1helpers.PodPriority(v.Pods[0]))
	}
	for _, pod := range v.Pods {
		r.sum += int64(corev1helpers.PodPriority(pod))
	}
	if started := schedutil.GetEarliestPodStartTime(v); started != nil {
		r.started = started.UnixNano()
	}
	return r
}

// victimLog takes down who is preempted, instead of an API server.
type victimLog struct {
	sync.Mutex
	pods       []*corev1.Pod
	violations int64
}

func (l *victimLog) take() ([]*corev1.Pod, int64) {
	l.Lock()
	defer l.Unlock()
	pods, violations := l.pods, l.violations
	l.pods, l.violations = nil, 0
	return pods, violations
}

// factory makes the plugin with the arguments of a profile.
func (l *victimLog) factory(args *config.DefaultPreemptionArgs) frameworkruntime.PluginFactory {
	return func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		gates := feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate)
		plugin, err := defaultpreemption.New(ctx, args, handle, gates)
		if err != nil {
			return nil, err
		}
		pinned := &pinnedPreemption{
			DefaultPreemption: plugin, chooser: preemption.NewEvaluator(names.DefaultPreemption, handle, plugin, plugin.Executor), groups: gates.EnableGenericWorkload,
		}
		plugin.Evaluator.Interface = pinned
		plugin.Executor.PreemptPod = func(_ context.Context, c preemption.Candidate, _ preemption.ExecutorPreemptor, victim *corev1.Pod, _ string) (bool, error) {
			l.Lock()
			defer l.Unlock()
			l.pods, l.violations = append(l.pods, victim), c.Victims().NumPDBViolations
			return false, nil
		}
		return pinned, nil
	}
}

// pin puts the pinned plugin in the place of DefaultPreemption in a copy of
// the profiles, and returns the factories for it, one per profile: profiles
// may give the plugin different arguments.
func (l *victimLog) pin(profiles []config.KubeSchedulerProfile) ([]config.KubeSchedulerProfile, frameworkruntime.Registry) {
	registry := frameworkruntime.Registry{}
	pinned := make([]config.KubeSchedulerProfile, len(profiles))
	for i := range profiles {
		p := profiles[i].DeepCopy()
		name := fmt.Sprintf("%s-%d", pinnedName, i)
		for _, set := range pluginSets(p.Plugins) {
			rename(set.Enabled, names.DefaultPreemption, name)
			rename(set.Disabled, names.DefaultPreemption, name)
		}
		registry[name] = l.factory(preemptionArgs(p))
		pinned[i] = *p
	}
	return pinned, registry
}

func rename(plugins []config.Plugin, from, to string) {
	for i := range plugins {
		if plugins[i].Name == from {
			plugins[i].Name = to
		}
	}
}

// preemptionArgs are the profile's arguments, which defaulting has always set.
func preemptionArgs(p *config.KubeSchedulerProfile) *config.DefaultPreemptionArgs {
	for _, c := range p.PluginConfig {
		if args, ok := c.Args.(*config.DefaultPreemptionArgs); ok {
			return args
		}
	}
	return &config.DefaultPreemptionArgs{MinCandidateNodesPercentage: 10, MinCandidateNodesAbsolute: 100}
}
