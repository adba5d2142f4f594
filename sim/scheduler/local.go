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

// localFilters look at what a Pod asks for and at one node, at nothing else.
func localFilters() sets.Set[string] {
	return sets.New(names.NodeName, names.NodeUnschedulable, names.TaintToleration, names.NodeAffinity, names.NodePorts, names.NodeResourcesFit)
}

// mostVerdicts bounds what is kept: 16 bytes each.
const mostVerdicts = 1 << 20

// verdict is what local filters said about a node as it was then: the scheduler
// gives it a new generation with each change.
type verdict struct {
	generation int64
	status     *fwk.Status
}

// localMemory is a profile whose local filters are asked once about Pods of a kind
// and a node, as long as that does not change: for one replica after the other,
// that is most of what a search among many nodes does.
type localMemory struct {
	framework.Framework
	sim      *Simulator
	verdicts []verdict // about Pods of this kind, by the position of the node

	skipped, notLocal, notOthers sets.Set[string] // filters: by the profile, and to ask one part of them
	others                       []string         // neither local nor skipped
	spread                       *viewedSpread    // where it alone is left
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
	return &localMemory{Framework: profile, sim: s, verdicts: s.verdicts[kind]}
}

// RunPreFilterPlugins also parts the filters: those at the head of the list that
// are local, and all from the first on that is not. The first no of them all stays
// the one that is told.
func (m *localMemory) RunPreFilterPlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod) (*fwk.PreFilterResult, *fwk.Status, sets.Set[string]) {
	result, status, plugins := m.Framework.RunPreFilterPlugins(ctx, state, pod)
	m.skipped = state.GetSkipFilterPlugins()
	m.notLocal, m.notOthers, m.others = m.skipped.Clone(), m.skipped.Clone(), nil
	filters := m.sim.plugins[m.ProfileName()].Filter.Enabled
	local := localFilters()
	head := slices.IndexFunc(filters, func(p config.Plugin) bool { return !local.Has(p.Name) })
	for i, p := range filters {
		if head < 0 || i < head {
			m.notOthers.Insert(p.Name)
			continue
		}
		m.notLocal.Insert(p.Name)
		if !m.skipped.Has(p.Name) {
			m.others = append(m.others, p.Name)
		}
	}
	if len(m.others) == 1 {
		m.spread = m.sim.view.plugins[m.others[0]]
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
	known := &m.verdicts[m.sim.position[name]]
	if known.generation != node.GetGeneration() {
		*known = verdict{node.GetGeneration(), m.askBut(ctx, m.notLocal, state, pod, node)}
	}
	switch {
	case !known.status.IsSuccess() || len(m.others) == 0:
		return known.status
	case m.spread == nil:
		return m.askBut(ctx, m.notOthers, state, pod, node)
	}
	status := m.spread.Filter(ctx, state, pod, node) // as RunFilterPlugins asks it, past a dozen that are skipped
	if status.IsRejected() {
		status.SetPlugin(m.spread.Name())
	}
	return status
}

// askBut runs the filters without some of them.
func (m *localMemory) askBut(ctx context.Context, skip sets.Set[string], state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo) *fwk.Status {
	defer state.SetSkipFilterPlugins(m.skipped)
	state.SetSkipFilterPlugins(skip)
	return m.RunFilterPlugins(ctx, state, pod, node)
}
