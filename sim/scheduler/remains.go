package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// BudgetBreak is a PodDisruptionBudget that has fewer healthy Pods than it
// wants. A node that is lost asks no budget.
type BudgetBreak struct {
	Budget  string `json:"budget"` // namespace/name
	Desired int32  `json:"desired"`
	AtOnce  int32  `json:"atOnce"` // healthy just after the loss
	After   int32  `json:"after"`  // once everything that fits was placed again
}

// SkewBreak is a topology spread constraint that the Pods no longer keep.
type SkewBreak struct {
	Namespace string `json:"namespace"`
	Selector  string `json:"selector"`
	Key       string `json:"topologyKey"`
	MaxSkew   int32  `json:"maxSkew"`
	Skew      int    `json:"skew"`
	Hard      bool   `json:"hard"` // whenUnsatisfiable: DoNotSchedule
}

// ZoneHeadroom is what is free on the nodes of a zone that take Pods without
// tolerations: control-plane nodes have a taint, and so has one that is not ready.
type ZoneHeadroom struct {
	Zone   string            `json:"zone"`
	Nodes  int               `json:"nodes"`
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
	Pods   int64             `json:"pods"`
}

// budgets compares every budget with what is left of its Pods.
func budgets(before Objects, lost map[string]bool, pushed map[types.UID]bool, now []*corev1.Pod) []BudgetBreak {
	var breaks []BudgetBreak
	for _, obj := range before.Others {
		pdb, ok := obj.(*policyv1.PodDisruptionBudget)
		if !ok {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
		if err != nil || selector.Empty() {
			continue
		}
		b := BudgetBreak{Budget: pdb.Namespace + "/" + pdb.Name, Desired: pdb.Status.DesiredHealthy}
		for _, pod := range before.Pods {
			if covers(selector, pdb.Namespace, pod) && healthy(pod) && !lost[pod.Spec.NodeName] && !pushed[pod.UID] {
				b.AtOnce++
			}
		}
		for _, pod := range now {
			if covers(selector, pdb.Namespace, pod) && pod.DeletionTimestamp == nil && !lost[pod.Spec.NodeName] {
				b.After++
			}
		}
		if b.AtOnce < b.Desired || b.After < b.Desired {
			breaks = append(breaks, b)
		}
	}
	slices.SortFunc(breaks, func(a, b BudgetBreak) int { return strings.Compare(a.Budget, b.Budget) })
	return breaks
}

func covers(selector labels.Selector, namespace string, pod *corev1.Pod) bool {
	return pod.Namespace == namespace && selector.Matches(labels.Set(pod.Labels))
}

func healthy(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// skews checks the spread constraints of all Pods that are left, over the
// domains of the nodes that are left and that the Pod may run on.
func skews(nodes []*corev1.Node, lost map[string]bool, pods []*corev1.Pod) []SkewBreak {
	domains := map[string]*corev1.Node{}
	for _, node := range nodes {
		if !lost[node.Name] {
			domains[node.Name] = node
		}
	}
	seen := map[SkewBreak]bool{}
	var breaks []SkewBreak
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		for _, c := range pod.Spec.TopologySpreadConstraints {
			b := SkewBreak{
				Namespace: pod.Namespace, Selector: metav1.FormatLabelSelector(c.LabelSelector),
				Key: c.TopologyKey, MaxSkew: c.MaxSkew, Hard: c.WhenUnsatisfiable == corev1.DoNotSchedule,
			}
			if seen[b] {
				continue
			}
			seen[b] = true
			if b.Skew = skew(pod, c, domains, pods); b.Skew > int(c.MaxSkew) {
				breaks = append(breaks, b)
			}
		}
	}
	slices.SortFunc(breaks, func(a, b SkewBreak) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Selector, b.Selector), strings.Compare(a.Key, b.Key))
	})
	return breaks
}

func skew(pod *corev1.Pod, c corev1.TopologySpreadConstraint, nodes map[string]*corev1.Node, pods []*corev1.Pod) int {
	selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
	if err != nil {
		return 0
	}
	affinity := nodeaffinity.GetRequiredNodeAffinity(pod)
	counts := map[string]int{}
	for _, node := range nodes {
		value, has := node.Labels[c.TopologyKey]
		if fits, err := affinity.Match(node); has && err == nil && fits {
			counts[value] += 0
		}
	}
	for _, other := range pods {
		node := nodes[other.Spec.NodeName]
		if node == nil || other.DeletionTimestamp != nil || !covers(selector, pod.Namespace, other) {
			continue
		}
		if value := node.Labels[c.TopologyKey]; value != "" {
			if _, eligible := counts[value]; eligible {
				counts[value]++
			}
		}
	}
	if len(counts) == 0 {
		return 0
	}
	values := slices.Collect(maps.Values(counts))
	return slices.Max(values) - slices.Min(values)
}

// headroom adds up what is free where any Pod may be placed.
func headroom(nodes []*corev1.Node, lost map[string]bool, pods []*corev1.Pod) []ZoneHeadroom {
	zoneOf, zones := map[string]string{}, map[string]*ZoneHeadroom{}
	for _, node := range nodes {
		if lost[node.Name] || node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, repels) {
			continue
		}
		zone := Zone(node)
		zoneOf[node.Name] = zone
		z := zones[zone]
		if z == nil {
			z = &ZoneHeadroom{Zone: zone}
			zones[zone] = z
		}
		z.Nodes++
		z.CPU.Add(*node.Status.Allocatable.Cpu())
		z.Memory.Add(*node.Status.Allocatable.Memory())
		z.Pods += node.Status.Allocatable.Pods().Value()
	}
	for _, pod := range pods {
		zone, ok := zoneOf[pod.Spec.NodeName]
		if !ok {
			continue
		}
		requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
		zones[zone].CPU.Sub(*requests.Cpu())
		zones[zone].Memory.Sub(*requests.Memory())
		zones[zone].Pods--
	}
	list := make([]ZoneHeadroom, 0, len(zones))
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		list = append(list, *zones[zone])
	}
	return list
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
