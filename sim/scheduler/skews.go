package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// SkewBreak is a topology spread constraint that a loss breaks: the skew is above
// what was asked for, and above what it was before.
type SkewBreak struct {
	Namespace string `json:"namespace"`
	Selector  string `json:"selector"`
	Key       string `json:"topologyKey"`
	MaxSkew   int32  `json:"maxSkew"`
	Skew      int    `json:"skew"`
	Before    int    `json:"before"`
	Hard      bool   `json:"hard"` // whenUnsatisfiable: DoNotSchedule
}

// spread is one constraint over the cluster before any loss, counted as the
// plugin PodTopologySpread counts: the nodes that its policies leave, Pods that
// are not on their way out, minDomains. The lost nodes are no domains: nobody
// wants Pods spread over them.
type spread struct {
	SkewBreak
	selector   labels.Selector
	minDomains int
	domains    *domains
	counts     map[string]int // matching Pods, by the domain's value
}

// domains are the nodes that constraints with the same filters are spread over.
type domains struct {
	value map[string]string // by node: the value of the topology key
	nodes map[string]int    // by value: how many nodes
}

// spreads are all constraints of the Pods of a cluster. It is used by several
// goroutines at once.
type spreads struct {
	byNamespace map[string][]*spread

	mu      sync.Mutex
	matches map[string][]*spread // by namespace and labels of a Pod
}

func newSpreads(nodes []*corev1.Node, pods []*corev1.Pod) *spreads {
	s := &spreads{byNamespace: map[string][]*spread{}, matches: map[string][]*spread{}}
	known, domainsOf := map[string]bool{}, map[string]*domains{}
	for _, pod := range pods {
		if !running(pod) {
			continue
		}
		for _, c := range pod.Spec.TopologySpreadConstraints {
			filter := filterKey(pod, c)
			selector, err := spreadSelector(c, pod.Labels)
			key := strings.Join([]string{pod.Namespace, fmt.Sprint(selector), filter, fmt.Sprint(c.MaxSkew, c.MinDomains == nil, minDomains(c), c.WhenUnsatisfiable)}, "\x00")
			if err != nil || known[key] {
				continue
			}
			known[key] = true
			if domainsOf[filter] == nil {
				domainsOf[filter] = newDomains(pod, c, nodes)
			}
			s.byNamespace[pod.Namespace] = append(s.byNamespace[pod.Namespace], &spread{
				SkewBreak: SkewBreak{
					Namespace: pod.Namespace, Selector: selectorText(c, pod.Labels), Key: c.TopologyKey, MaxSkew: c.MaxSkew,
					Hard: c.WhenUnsatisfiable == corev1.DoNotSchedule,
				},
				selector: selector, minDomains: minDomains(c), domains: domainsOf[filter], counts: map[string]int{},
			})
		}
	}
	for _, pod := range pods {
		if running(pod) {
			for _, one := range s.of(pod) {
				one.count(one.counts, pod, 1)
			}
		}
	}
	for _, list := range s.byNamespace {
		for _, one := range list {
			one.Before = one.skew(nil, nil)
		}
	}
	return s
}

func minDomains(c corev1.TopologySpreadConstraint) int {
	if c.MinDomains == nil {
		return 1
	}
	return int(*c.MinDomains)
}

// spreadSelector is whom a Pod's constraint counts: matchLabelKeys add the Pod's
// own values.
func spreadSelector(c corev1.TopologySpreadConstraint, own map[string]string) (labels.Selector, error) {
	selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
	if err != nil {
		return nil, err
	}
	for _, key := range c.MatchLabelKeys {
		if value, ok := own[key]; ok {
			r, err := labels.NewRequirement(key, selection.Equals, []string{value})
			if err != nil {
				return nil, err
			}
			selector = selector.Add(*r)
		}
	}
	if selector.Empty() {
		selector = labels.Nothing() // the plugin counts nobody
	}
	return selector, nil
}

func selectorText(c corev1.TopologySpreadConstraint, own map[string]string) string {
	var text strings.Builder
	text.WriteString(metav1.FormatLabelSelector(c.LabelSelector))
	for _, key := range c.MatchLabelKeys {
		if value, ok := own[key]; ok {
			text.WriteString("," + key + "=" + value)
		}
	}
	return text.String()
}

// filterKey tells constraints apart that are spread over different nodes.
func filterKey(pod *corev1.Pod, c corev1.TopologySpreadConstraint) string {
	parts := []any{c.TopologyKey, keysOf(pod, c.WhenUnsatisfiable), honorsTaints(c)}
	if honorsAffinity(c) {
		parts = append(parts, pod.Spec.NodeSelector)
		if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
			parts = append(parts, a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		}
	}
	if honorsTaints(c) {
		parts = append(parts, pod.Spec.Tolerations)
	}
	key, err := json.Marshal(parts)
	if err != nil {
		return string(pod.UID) // cannot happen: it came out of JSON
	}
	return string(key)
}

// keysOf are the topology keys that a node needs to be counted at all.
func keysOf(pod *corev1.Pod, action corev1.UnsatisfiableConstraintAction) (keys []string) {
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable == action {
			keys = append(keys, c.TopologyKey)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func honorsAffinity(c corev1.TopologySpreadConstraint) bool {
	return c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor
}

func honorsTaints(c corev1.TopologySpreadConstraint) bool {
	return c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
}

func newDomains(pod *corev1.Pod, c corev1.TopologySpreadConstraint, nodes []*corev1.Node) *domains {
	d := &domains{value: map[string]string{}, nodes: map[string]int{}}
	affinity, keys := nodeaffinity.GetRequiredNodeAffinity(pod), keysOf(pod, c.WhenUnsatisfiable)
	for _, node := range nodes {
		if slices.ContainsFunc(keys, func(key string) bool { _, has := node.Labels[key]; return !has }) {
			continue
		}
		if fits, _ := affinity.Match(node); honorsAffinity(c) && !fits {
			continue
		}
		if honorsTaints(c) {
			if _, refuses := v1helper.FindMatchingUntoleratedTaint(klog.Logger{}, node.Spec.Taints, pod.Spec.Tolerations, func(t *corev1.Taint) bool { return repels(*t) }, false); refuses {
				continue
			}
		}
		value := node.Labels[c.TopologyKey]
		d.value[node.Name] = value
		d.nodes[value]++
	}
	return d
}

// count adds a Pod to the counts, if its node is one of the domains'.
func (s *spread) count(counts map[string]int, pod *corev1.Pod, n int) {
	if value, ok := s.domains.value[pod.Spec.NodeName]; ok {
		counts[value] += n
	}
}

// skew is the most crowded domain less the emptiest, with the changes in counts
// and without the lost nodes.
func (s *spread) skew(delta map[string]int, lost map[string]bool) int {
	gone := map[string]int{}
	for node := range lost {
		if value, ok := s.domains.value[node]; ok {
			gone[value]++
		}
	}
	least, most, n := math.MaxInt, 0, 0
	for value, nodes := range s.domains.nodes {
		if nodes == gone[value] {
			continue
		}
		count := s.counts[value] + delta[value]
		least, most, n = min(least, count), max(most, count), n+1
	}
	switch {
	case n == 0:
		return 0
	case n < s.minDomains:
		return most
	}
	return most - least
}

// of are the constraints that count a Pod.
func (s *spreads) of(pod *corev1.Pod) []*spread {
	list := s.byNamespace[pod.Namespace]
	if len(list) == 0 {
		return nil
	}
	key := pod.Namespace + "\x00" + labels.Set(pod.Labels).String()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.matches[key]
	if !known {
		for _, one := range list {
			if one.selector.Matches(labels.Set(pod.Labels)) {
				found = append(found, one)
			}
		}
		s.matches[key] = found
	}
	return found
}

// broken are the constraints that a change breaks.
func (s *spreads) broken(c *change) []SkewBreak {
	deltas := map[*spread]map[string]int{}
	move := func(pods []*corev1.Pod, n int) {
		for _, pod := range pods {
			if !running(pod) {
				continue
			}
			for _, one := range s.of(pod) {
				if deltas[one] == nil {
					deltas[one] = map[string]int{}
				}
				one.count(deltas[one], pod, n)
			}
		}
	}
	move(c.left, -1)
	move(c.came, 1)
	for _, list := range s.byNamespace {
		for _, one := range list {
			if one.minDomains > 1 && deltas[one] == nil {
				deltas[one] = map[string]int{} // a domain less may be one too few
			}
		}
	}
	var breaks []SkewBreak
	for one, delta := range deltas {
		b := one.SkewBreak
		if b.Skew = one.skew(delta, c.lost); b.Skew > int(b.MaxSkew) && b.Skew > b.Before {
			breaks = append(breaks, b)
		}
	}
	slices.SortFunc(breaks, func(a, b SkewBreak) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Selector, b.Selector), strings.Compare(a.Key, b.Key),
			cmp.Compare(a.MaxSkew, b.MaxSkew), cmp.Compare(a.Skew, b.Skew), cmp.Compare(a.Before, b.Before))
	})
	return slices.Compact(breaks)
}
