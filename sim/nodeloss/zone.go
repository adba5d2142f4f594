package nodeloss

import (
	"cmp"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/topology"
)

// ZoneState is how the node lifecycle controller sees a zone, and with it how
// fast it taints the nodes there.
type ZoneState string

// The states (ComputeZoneState in node_lifecycle_controller.go).
const (
	Normal            ZoneState = "Normal"
	PartialDisruption ZoneState = "PartialDisruption" // more than 2 nodes and at least 55 % are down
	FullDisruption    ZoneState = "FullDisruption"    // no node is ready
)

// excludeDisruption takes a node out of the counts.
const excludeDisruption = "node.kubernetes.io/exclude-disruption"

// tainting is when the NoExecute taint reaches each lost node, after its
// detection.
type tainting struct {
	states map[string]ZoneState     // by zone key
	delay  map[string]time.Duration // by node; absent: never
	master bool                     // all zones are down: nothing is tainted at all
}

// taint counts the zones as they are after the loss. The nodes of a zone are
// taken from a token bucket of burst 1, in the order of their names.
func (t Tuning) taint(nodes []*corev1.Node, lost map[string]bool) tainting {
	ready, down, size := map[string]int{}, map[string]int{}, map[string]int{}
	queue := map[string][]string{}
	for _, node := range sortedByName(nodes) {
		zone := topology.GetZoneKey(node)
		if lost[node.Name] {
			queue[zone] = append(queue[zone], node.Name)
		}
		if _, excluded := node.Labels[excludeDisruption]; excluded {
			continue
		}
		size[zone]++
		if isReady(node) && !lost[node.Name] {
			ready[zone]++
		} else {
			down[zone]++
		}
	}
	result := tainting{states: map[string]ZoneState{}, delay: map[string]time.Duration{}, master: true}
	for zone := range size {
		result.states[zone] = t.zoneState(ready[zone], down[zone])
		result.master = result.master && result.states[zone] == FullDisruption
	}
	if result.master {
		return result
	}
	for zone, names := range queue {
		rate := t.rate(result.states[zone], size[zone])
		for k, name := range names {
			if rate > 0 {
				result.delay[name] = time.Duration(math.Round(float64(k) / rate * float64(time.Second)))
			}
		}
	}
	return result
}

func (t Tuning) zoneState(ready, down int) ZoneState {
	switch {
	case ready == 0 && down > 0:
		return FullDisruption
	case down > 2 && float32(down)/float32(down+ready) >= float32(t.UnhealthyShare):
		return PartialDisruption
	}
	return Normal
}

// early is how many of n silent nodes may be tainted before the controller
// knows how much of the zone is down: nodes that fall silent together are found
// in different passes, and until the share is reached the zone is Normal.
func (t Tuning) early(detected Span, n int) int {
	spread := (detected.Max - detected.Min).Seconds()
	return min(n, 1+int(spread*t.EvictionRate))
}

// wasted is what a race can cost: the tainting loop, every 100 ms, drops a
// node that its cache still calls ready, and has spent the zone's token on it
// (doNoExecuteTaintingPass). The next pass puts the node back, where it waits
// for the next token.
func (t Tuning) wasted() time.Duration {
	if t.EvictionRate <= 0 {
		return t.Period
	}
	return max(t.Period, time.Duration(float64(time.Second)/t.EvictionRate))
}

// rate is nodes per second: setLimiterInZone and ReducedQPSFunc.
func (t Tuning) rate(state ZoneState, size int) float64 {
	switch {
	case state != PartialDisruption:
		return t.EvictionRate
	case size > t.LargeZone:
		return t.SecondaryRate
	}
	return 0
}

func isReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func sortedByName(nodes []*corev1.Node) []*corev1.Node {
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}
