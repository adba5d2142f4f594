package scheduler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/topology"
)

// ErrNoSuchZone says that no node is in a zone to be lost.
var ErrNoSuchZone = errors.New("no node is in that zone")

// Target is something to lose.
type Target struct {
	Name  string // "node worker-1", "zone eu/eu-1"
	Nodes []string
}

// Targets are all single losses of a cluster: every node by name, then every
// zone of more than one node.
func Targets(nodes []*corev1.Node) []Target {
	return append(NodeTargets(nodes), ZoneTargets(nodes)...)
}

// NodeTargets are the losses of one node each, by name.
func NodeTargets(nodes []*corev1.Node) []Target {
	var targets []Target
	for _, node := range (Order{}).Arrange(nodes) {
		targets = append(targets, Target{"node " + node.Name, []string{node.Name}})
	}
	return targets
}

// ZoneTargets are the losses of one zone each, of those with more than one
// node, named as the scheduler's node tree does.
func ZoneTargets(nodes []*corev1.Node) []Target {
	zones := map[string][]string{}
	for _, node := range (Order{}).Arrange(nodes) {
		zone := Zone(node)
		zones[zone] = append(zones[zone], node.Name)
	}
	var targets []Target
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		if zone != "" && len(zones[zone]) > 1 {
			targets = append(targets, Target{"zone " + zone, zones[zone]})
		}
	}
	return targets
}

// NodeTarget is the loss of nodes, all at once. A name that no node has is
// ErrNoSuchNode.
func NodeTarget(nodes []*corev1.Node, names ...string) (Target, error) {
	target := Target{Name: "node " + strings.Join(names, ", "), Nodes: names}
	for _, name := range names {
		if !slices.ContainsFunc(nodes, func(n *corev1.Node) bool { return n.Name == name }) {
			return target, fmt.Errorf("losing node %q: %w", name, ErrNoSuchNode)
		}
	}
	return target, nil
}

// ZoneTarget is the loss of all nodes of zones, all at once. A zone is named
// with its region or without. One that no node is in is ErrNoSuchZone.
func ZoneTarget(nodes []*corev1.Node, names ...string) (Target, error) {
	target := Target{Name: "zone " + strings.Join(names, ", ")}
	for _, name := range names {
		zones := map[string]bool{}
		for _, node := range nodes {
			zone := Zone(node)
			if zone != "" && (zone == name || zone[strings.LastIndex(zone, "/")+1:] == name) {
				zones[zone] = true
				target.Nodes = append(target.Nodes, node.Name)
			}
		}
		if len(zones) > 1 {
			return target, fmt.Errorf("losing zone %q: several regions have one: %q", name, slices.Sorted(maps.Keys(zones)))
		}
		if len(zones) == 0 {
			return target, fmt.Errorf("losing zone %q: %w", name, ErrNoSuchZone)
		}
	}
	return target, nil
}

// Zone is a node's zone: "region/zone", either alone when the other is not
// set, "" for none. The old beta labels win, as in the scheduler
// (component-helpers node/topology GetZoneKey).
func Zone(node *corev1.Node) string {
	return zoneName(topology.GetZoneKey(node))
}
