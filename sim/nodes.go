package sim

import "context"

// Nodes is the name of the third kind of drill: nodes of a backup are lost, and
// where its Pods go, and when, is worked out. No member runs and no time passes.
const Nodes EngineName = "nodes"

// Each in the place of names loses every node or zone by itself, one after
// the other.
const Each Selector = "each"

// NodeLoser works out what becomes of a backup's Pods when nodes are lost.
type NodeLoser interface {
	// Lose loses the nodes, or all nodes of the zones, that a names, all at once;
	// of Each, every one by itself. Every call begins with the cluster as the
	// backup has it. The error is ctx's, or that there is no such node or zone.
	Lose(ctx context.Context, a Action) ([]NodeLoss, error)

	// Pods counts the backup's running Pods in a namespace, "" for all.
	Pods(namespace string) int

	// Basis says, for people, what the answers rest on.
	Basis() []string
}

// NodeLoss is what becomes of the Pods when nodes are lost.
type NodeLoss struct {
	Name  string   `json:"name"`  // "node worker-1", "zone eu-1"
	Nodes []string `json:"nodes"` // lost
	// Pods are those that stood on the nodes, and those that others pushed out.
	Pods []PodFate `json:"pods,omitempty"`
}

// PodFate is what becomes of one Pod.
type PodFate struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Node      string `json:"node"`         // that it stood on
	To        string `json:"to,omitempty"` // where its successor goes
	// Back is when its successor can start, counted from the loss and with every
	// heartbeat at its worst; nil when that does not come by itself.
	Back *Duration `json:"back,omitempty"`
	// Pending: its successor finds no node.
	Pending bool `json:"pending,omitempty"`
	// Stays: it belongs to its node (a DaemonSet's, a static Pod), and nobody
	// expects it elsewhere.
	Stays bool   `json:"stays,omitempty"`
	Why   string `json:"why"`
}
