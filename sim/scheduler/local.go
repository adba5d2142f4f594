package scheduler

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// localPlugins look at what a Pod asks for and at one node, at nothing else: those
// for volumes and devices where the Pod has a kind, and so no claims of its own.
func localPlugins() sets.Set[string] {
	return sets.New(names.NodeName, names.NodeUnschedulable, names.TaintToleration, names.NodeAffinity, names.NodePorts,
		names.NodeResourcesFit, names.NodeResourcesBalancedAllocation, names.ImageLocality, names.VolumeBinding, names.DynamicResources)
}

// mostVerdicts bounds what is kept: some 200 bytes each.
const mostVerdicts = 1 << 18

// verdict is what local plugins said about a node as it was then: the scheduler
// gives it a new generation with each change.
type verdict struct {
	generation int64
	status     *fwk.Status       // of the filters
	scores     []fwk.PluginScore // raw; nil before they are asked for
}

// localMemory is a profile whose local plugins are asked once about Pods of a kind
// and a node, as long as that does not change: for one replica after the other,
// that is most of what a search among many nodes does.
type localMemory struct {
	framework.Framework
	sim      *Simulator
	local    sets.Set[string]
	verdicts []verdict // about Pods of this kind, by the position of the node

	skipped, notLocal, notOthers sets.Set[string] // filters: by the profile, and to ask one part of them
}

// remember is a profile for a Pod of a kind.
func (s *Simulator) remember(profile framework.Framework, kind string) framework.Framework {
	if kind == "" {
		return profile
	}
	if s.verdicts[kind] == nil {
		if len(s.verdicts)*len(s.order) > mostVerdicts {
			clear(s.verdicts)
		}
		s.verdicts[kind] = make([]verdict, len(s.order))
	}
	return &localMemory{Framework: profile, sim: s, local: localPlugins(), verdicts: s.verdicts[kind]}
}

// RunPreFilterPlugins also parts the filters: those at the head of the list that
// are local, and all from the first on that is not. The first no of them all stays
// the one that is told.
func (m *localMemory) RunPreFilterPlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod) (*fwk.PreFilterResult, *fwk.Status, sets.Set[string]) {
	result, status, plugins := m.Framework.RunPreFilterPlugins(ctx, state, pod)
	m.skipped = state.GetSkipFilterPlugins()
	m.notLocal, m.notOthers = m.skipped.Clone(), m.skipped.Clone()
	filters := m.sim.plugins[m.ProfileName()].Filter.Enabled
	head := slices.IndexFunc(filters, func(p config.Plugin) bool { return !m.local.Has(p.Name) })
	for i, p := range filters {
		if head < 0 || i < head {
			m.notOthers.Insert(p.Name)
		} else {
			m.notLocal.Insert(p.Name)
		}
	}
	return result, status, plugins
}

// RunFilterPluginsWithNominatedPods is the profile's. Nominated Pods are no part of
// a node's generation.
func (m *localMemory) RunFilterPluginsWithNominatedPods(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo) *fwk.Status {
	name := node.Node().Name
	if len(m.NominatedPodsForNode(name)) > 0 {
		return m.Framework.RunFilterPluginsWithNominatedPods(ctx, state, pod, node)
	}
	defer state.SetSkipFilterPlugins(m.skipped)
	known := &m.verdicts[m.sim.position[name]]
	if known.generation != node.GetGeneration() {
		state.SetSkipFilterPlugins(m.notLocal)
		*known = verdict{generation: node.GetGeneration(), status: m.RunFilterPlugins(ctx, state, pod, node)}
	}
	if !known.status.IsSuccess() {
		return known.status
	}
	state.SetSkipFilterPlugins(m.notOthers)
	return m.RunFilterPlugins(ctx, state, pod, node)
}

// RunScorePlugins is the profile's, in its two halves.
func (m *localMemory) RunScorePlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) ([]fwk.NodePluginScores, *fwk.Status) {
	for _, p := range m.sim.plugins[m.ProfileName()].Score.Enabled {
		if !m.local.Has(p.Name) && !state.GetSkipScorePlugins().Has(p.Name) {
			return m.Framework.RunScorePlugins(ctx, state, pod, nodes)
		}
	}
	scores := make([]fwk.NodePluginScores, len(nodes))
	for i, node := range nodes {
		known := &m.verdicts[m.sim.position[node.Node().Name]]
		if known.generation != node.GetGeneration() || known.scores == nil {
			raw, status := m.RunRawScorePlugins(ctx, state, pod, node)
			if !status.IsSuccess() {
				return nil, status
			}
			*known = verdict{known.generation, known.status, raw}
		}
		scores[i] = fwk.NodePluginScores{Name: node.Node().Name, RawScores: known.scores}
	}
	return scores, m.NormalizeScores(ctx, state, pod, scores)
}
