package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/helper"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
)

// viewedName is under what name the viewed plugin is registered.
const viewedName = "ViewedPodTopologySpread"

// viewedSpread is PodTopologySpread, which for each Pod counts all Pods of all
// nodes twice. It counts the same here, over nodes that show it only those Pods
// that a constraint can match.
type viewedSpread struct {
	*podtopologyspread.PodTopologySpread
	name string // weights are looked up by it
	view *podView
}

func (p *viewedSpread) Name() string { return p.name }

// pluginName is a plugin's name as people know it.
func pluginName(name string) string {
	if strings.HasPrefix(name, viewedName) {
		return names.PodTopologySpread
	}
	return name
}

// PreFilter is the plugin's, over the view.
func (p *viewedSpread) PreFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	p.view.look(pod)
	return p.PodTopologySpread.PreFilter(ctx, state, pod, p.view.over(nodes))
}

// Score is the plugin's, over the view.
func (p *viewedSpread) Score(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	return p.PodTopologySpread.Score(ctx, state, pod, p.view.node(node))
}

// spreadFactory makes the plugin with the arguments of a profile. Its PreScore
// asks the handle for all nodes.
func (v *podView) spreadFactory(name string, args runtime.Object) frameworkruntime.PluginFactory {
	return func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		gates := feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate)
		plugin, err := podtopologyspread.New(ctx, args, viewHandle{handle, v}, gates)
		if err != nil {
			return nil, err
		}
		v.plugins[name] = &viewedSpread{plugin.(*podtopologyspread.PodTopologySpread), name, v}
		return v.plugins[name], nil
	}
}

// pin puts the viewed plugin in the place of PodTopologySpread, and adds its
// factories to the registry.
func (v *podView) pin(profiles []config.KubeSchedulerProfile, registry frameworkruntime.Registry) {
	for i := range profiles {
		name := fmt.Sprintf("%s-%d", viewedName, i)
		for _, set := range pluginSets(profiles[i].Plugins) {
			rename(set.Enabled, names.PodTopologySpread, name)
			rename(set.Disabled, names.PodTopologySpread, name)
		}
		for _, c := range profiles[i].PluginConfig {
			if args, ok := c.Args.(*config.PodTopologySpreadArgs); ok {
				registry[name] = v.spreadFactory(name, args)
			}
		}
		if registry[name] == nil {
			registry[name] = v.spreadFactory(name, &config.PodTopologySpreadArgs{DefaultingType: config.SystemDefaulting})
		}
	}
}

// viewHandle shows a plugin the view where it asks for the nodes.
type viewHandle struct {
	fwk.Handle
	view *podView
}

func (h viewHandle) SnapshotSharedLister() fwk.SharedLister {
	return viewLister{h.Handle.SnapshotSharedLister(), h.view}
}

type viewLister struct {
	fwk.SharedLister
	view *podView
}

func (l viewLister) NodeInfos() fwk.NodeInfoLister {
	return viewNodeInfos{l.SharedLister.NodeInfos(), l.view}
}

type viewNodeInfos struct {
	fwk.NodeInfoLister
	view *podView
}

func (l viewNodeInfos) List() ([]fwk.NodeInfo, error) {
	nodes, err := l.NodeInfoLister.List()
	return l.view.over(nodes), err
}

// viewedNode is a node with those of its Pods that are looked at.
type viewedNode struct {
	fwk.NodeInfo
	view *podView
}

func (n *viewedNode) GetPods() []fwk.PodInfo { return n.view.current.onNode[n.Node().Name] }

// podView knows which Pods the constraints of others can match. Pods are those
// that have a node and are not on their way out.
type podView struct {
	defaults func(*corev1.Pod) labels.Selector            // for Pods without constraints
	pods     map[string]map[string]map[string]*corev1.Pod // all, by namespace, labels and uid
	groups   map[string]*viewGroup
	byName   map[string][]*viewGroup // by namespace
	matches  map[string][]*viewGroup // by namespace and labels of a Pod
	current  *viewGroup
	plugins  map[string]*viewedSpread // by name

	nodes, shown []fwk.NodeInfo // the scheduler's list, and the same viewed
	scored       viewedNode
}

// viewGroup is the Pods that one set of selectors matches.
type viewGroup struct {
	selectors []labels.Selector
	onNode    map[string][]fwk.PodInfo
}

func newPodView() *podView {
	return &podView{pods: map[string]map[string]map[string]*corev1.Pod{}, groups: map[string]*viewGroup{}, byName: map[string][]*viewGroup{}, matches: map[string][]*viewGroup{}, plugins: map[string]*viewedSpread{}}
}

// look turns the view to what a Pod's constraints can match.
func (v *podView) look(pod *corev1.Pod) {
	var selectors []labels.Selector
	for _, c := range pod.Spec.TopologySpreadConstraints {
		selector, err := spreadSelector(c, pod.Labels)
		if err != nil {
			selector = labels.Everything() // the plugin tells the error
		}
		selectors = append(selectors, selector)
	}
	if len(selectors) == 0 {
		selectors = append(selectors, v.defaults(pod))
	}
	texts := []string{pod.Namespace}
	for _, s := range selectors {
		texts = append(texts, fmt.Sprintf("%T %s", s, s))
	}
	key := strings.Join(texts, "\x00")
	if v.current = v.groups[key]; v.current != nil {
		return
	}
	g := &viewGroup{selectors: selectors, onNode: map[string][]fwk.PodInfo{}}
	for _, alike := range v.pods[pod.Namespace] { // replicas have the same labels
		for _, other := range alike {
			if !g.covers(other) {
				break
			}
			g.add(other)
		}
	}
	v.groups[key], v.current = g, g
	v.byName[pod.Namespace] = append(v.byName[pod.Namespace], g)
	clear(v.matches)
}

func (g *viewGroup) covers(pod *corev1.Pod) bool {
	return slices.ContainsFunc(g.selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(pod.Labels)) })
}

func (g *viewGroup) add(pod *corev1.Pod) {
	g.onNode[pod.Spec.NodeName] = append(g.onNode[pod.Spec.NodeName], &framework.PodInfo{Pod: pod})
}

// over shows all nodes. The scheduler makes a new list when nodes come or go.
func (v *podView) over(nodes []fwk.NodeInfo) []fwk.NodeInfo {
	if v.current == nil || len(nodes) == 0 {
		return nodes
	}
	if len(v.nodes) != len(nodes) || &v.nodes[0] != &nodes[0] {
		v.nodes, v.shown = nodes, make([]fwk.NodeInfo, len(nodes))
		for i, node := range nodes {
			v.shown[i] = &viewedNode{node, v}
		}
	}
	return v.shown
}

// node shows one node until the next is asked for.
func (v *podView) node(node fwk.NodeInfo) fwk.NodeInfo {
	if v.current == nil {
		return node
	}
	v.scored = viewedNode{node, v}
	return &v.scored
}

// groupsOf are the groups that a Pod belongs to.
func (v *podView) groupsOf(pod *corev1.Pod) []*viewGroup {
	if len(v.byName[pod.Namespace]) == 0 {
		return nil
	}
	key := pod.Namespace + "\x00" + labels.Set(pod.Labels).String()
	found, known := v.matches[key]
	if !known {
		for _, g := range v.byName[pod.Namespace] {
			if g.covers(pod) {
				found = append(found, g)
			}
		}
		v.matches[key] = found
	}
	return found
}

// add makes a Pod seen.
func (v *podView) add(pod *corev1.Pod) {
	if !running(pod) {
		return
	}
	alike := labels.Set(pod.Labels).String()
	if v.pods[pod.Namespace] == nil {
		v.pods[pod.Namespace] = map[string]map[string]*corev1.Pod{}
	}
	if v.pods[pod.Namespace][alike] == nil {
		v.pods[pod.Namespace][alike] = map[string]*corev1.Pod{}
	}
	v.pods[pod.Namespace][alike][string(pod.UID)] = pod
	for _, g := range v.groupsOf(pod) {
		g.add(pod)
	}
}

// remove makes a Pod unseen.
func (v *podView) remove(pod *corev1.Pod) {
	alike := v.pods[pod.Namespace][labels.Set(pod.Labels).String()]
	if alike[string(pod.UID)] == nil {
		return
	}
	delete(alike, string(pod.UID))
	for _, g := range v.groupsOf(pod) {
		g.onNode[pod.Spec.NodeName] = slices.DeleteFunc(g.onNode[pod.Spec.NodeName], func(p fwk.PodInfo) bool { return p.GetPod().UID == pod.UID })
	}
}

// defaultSelector is what the plugin spreads Pods by that say nothing themselves.
func (s *Simulator) defaultSelector() func(*corev1.Pod) labels.Selector {
	core, apps := s.informers.Core().V1(), s.informers.Apps().V1()
	services, controllers := core.Services().Lister(), core.ReplicationControllers().Lister()
	replicas, stateful := apps.ReplicaSets().Lister(), apps.StatefulSets().Lister()
	return func(pod *corev1.Pod) labels.Selector {
		return helper.DefaultSelector(pod, services, controllers, replicas, stateful)
	}
}
