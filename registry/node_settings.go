package registry

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// NodeCommands are the kubectl commands that give Nodes back what a person gave
// them: labels, taints, and that they are cordoned. Kubelets register their
// Nodes without these. They are for the Nodes that the plan leaves out, in the
// order of their names; nil when nothing was set by hand.
func (p *Plan) NodeCommands() ([]string, error) {
	var commands []string
	for _, l := range p.LeftOut {
		if l.Object.GVK.Kind != "Node" || l.Object.GVK.Group != "" || !l.Object.Readable() {
			continue
		}
		stored, err := l.Object.Content()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", l.Object, err)
		}
		commands = append(commands, nodeCommands(stored)...)
	}
	return commands, nil
}

func nodeCommands(stored map[string]any) []string {
	name := words.ShellQuote(stringAt(stored, "metadata", "name"))
	var labels, taints, commands []string
	for _, key := range sortedKeys(mapAt(stored, "metadata", "labels")) {
		if setByHand(stored, key) {
			labels = append(labels, words.ShellQuote(key+"="+stringAt(stored, "metadata", "labels", key)))
		}
	}
	for _, taint := range listAt(stored, "spec", "taints") {
		key, value, effect := stringAt(taint, "key"), stringAt(taint, "value"), stringAt(taint, "effect")
		if key == "" || isConditionTaint(key) {
			continue
		}
		if value != "" {
			value = "=" + value
		}
		taints = append(taints, words.ShellQuote(key+value+":"+effect))
	}
	if len(labels) > 0 {
		commands = append(commands, "kubectl label --overwrite node "+name+" "+strings.Join(labels, " "))
	}
	if len(taints) > 0 {
		commands = append(commands, "kubectl taint --overwrite node "+name+" "+strings.Join(taints, " "))
	}
	if boolAt(stored, "spec", "unschedulable") {
		commands = append(commands, "kubectl cordon "+name)
	}
	return commands
}

// setByHand tells a label that a person set from one that a kubelet or a cloud
// provider sets again. The owners of fields tell it; where there are none, the
// well-known names do (kubernetes pkg/kubelet/kubelet_node_status.go,
// cloud-provider controllers/node).
func setByHand(stored map[string]any, label string) bool {
	path := fieldpath.MakePathOrDie("metadata", "labels", label)
	in, owned := readIntent(stored), false
	for i, set := range in.owned {
		if !set.Has(path) {
			continue
		}
		owned = true
		switch in.managers[i] {
		case "kubelet", "kube-controller-manager", "cloud-controller-manager":
		default:
			return true
		}
	}
	return !owned && !isOwnLabel(label)
}

// isOwnLabel tells the labels that Nodes get without a person.
func isOwnLabel(label string) bool {
	domain, _, _ := strings.Cut(label, "/")
	return domain == "beta.kubernetes.io" || domain == "failure-domain.beta.kubernetes.io" || slices.Contains([]string{
		"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type",
		"node.kubernetes.io/windows-build", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
	}, label)
}

// isConditionTaint tells taints that controllers set by a Node's condition.
func isConditionTaint(key string) bool {
	return strings.HasPrefix(key, "node.kubernetes.io/") && key != "node.kubernetes.io/exclude-disruption" &&
		slices.Contains([]string{
			"not-ready", "unreachable", "unschedulable", "memory-pressure", "disk-pressure", "pid-pressure", "network-unavailable", "out-of-service",
		}, strings.TrimPrefix(key, "node.kubernetes.io/")) ||
		key == "node.cloudprovider.kubernetes.io/uninitialized" || key == "node.cloudprovider.kubernetes.io/shutdown"
}
