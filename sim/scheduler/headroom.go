package scheduler

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// ZoneHeadroom is what is free on the nodes of a zone that take Pods without
// tolerations: control-plane nodes have a taint, and so has one that is not ready.
type ZoneHeadroom struct {
	Zone   string            `json:"zone"`
	Nodes  int               `json:"nodes"`
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
	Pods   int64             `json:"pods"`
}

// add puts an amount to what is free; sign -1 takes it away.
func (z *ZoneHeadroom) add(of ZoneHeadroom, sign int) {
	z.Nodes += sign * of.Nodes
	z.Pods += int64(sign) * of.Pods
	if sign > 0 {
		z.CPU.Add(of.CPU)
		z.Memory.Add(of.Memory)
		return
	}
	z.CPU.Sub(of.CPU)
	z.Memory.Sub(of.Memory)
}

// headroom is what is free, per node and per zone, before any loss.
type headroom struct {
	nodes map[string]*ZoneHeadroom // by node; those that any Pod may be placed on
	zones map[string]*ZoneHeadroom
}

func newHeadroom(nodes []*corev1.Node, pods []*corev1.Pod) headroom {
	h := headroom{nodes: map[string]*ZoneHeadroom{}, zones: map[string]*ZoneHeadroom{}}
	for _, node := range nodes {
		if node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, repels) {
			continue
		}
		h.nodes[node.Name] = &ZoneHeadroom{
			Zone: Zone(node), Nodes: 1, CPU: node.Status.Allocatable.Cpu().DeepCopy(), Memory: node.Status.Allocatable.Memory().DeepCopy(),
			Pods: node.Status.Allocatable.Pods().Value(),
		}
	}
	for _, pod := range pods {
		if free := h.nodes[pod.Spec.NodeName]; free != nil && !ended(pod) {
			free.add(taken(pod), -1)
		}
	}
	for _, node := range nodes {
		free := h.nodes[node.Name]
		if free == nil {
			continue
		}
		if z := h.zones[free.Zone]; z != nil {
			z.add(*free, 1)
		} else {
			h.zones[free.Zone] = free.clone()
		}
	}
	return h
}

// after is what is free once a change has happened.
func (h headroom) after(c *change) []ZoneHeadroom {
	zones := make(map[string]*ZoneHeadroom, len(h.zones))
	for name, z := range h.zones {
		zones[name] = z.clone()
	}
	for node := range c.lost {
		if free := h.nodes[node]; free != nil {
			zones[free.Zone].add(*free, -1)
		}
	}
	move := func(pods []*corev1.Pod, sign int) {
		for _, pod := range pods {
			if free := h.nodes[pod.Spec.NodeName]; free != nil && !c.lost[pod.Spec.NodeName] {
				zones[free.Zone].add(taken(pod), sign)
			}
		}
	}
	move(c.left, 1)
	move(c.came, -1)
	list := make([]ZoneHeadroom, 0, len(zones))
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		if zones[name].Nodes > 0 {
			list = append(list, *zones[name])
		}
	}
	return list
}

func (z *ZoneHeadroom) clone() *ZoneHeadroom {
	c := *z
	c.CPU, c.Memory = z.CPU.DeepCopy(), z.Memory.DeepCopy()
	return &c
}

// taken is what a Pod takes up.
func taken(pod *corev1.Pod) ZoneHeadroom {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	return ZoneHeadroom{CPU: *requests.Cpu(), Memory: *requests.Memory(), Pods: 1}
}

func repels(taint corev1.Taint) bool {
	return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
}

// zoneName turns a zone key, "region:\x00:zone", into something to read.
func zoneName(key string) string {
	region, zone, _ := strings.Cut(key, ":\x00:")
	if region == "" || zone == "" {
		return region + zone
	}
	return region + "/" + zone
}
