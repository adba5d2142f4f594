package etcd

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/lifeboat-dr/lifeboat/cmd/internal/console"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// dropper finds the keys of what is gone with a master: its Node object, the
// node's Lease, the Pods bound to it, and the API servers' own leases, by which
// the Service "kubernetes" would go on pointing at dead addresses
// (kubernetes/kubernetes#86812).
type dropper struct {
	env          *console.Environment
	src          *console.Source
	opts         console.SourceOptions
	nodes        []string
	masterLeases bool
}

func (d *dropper) keys(ctx context.Context) ([][]byte, error) {
	if len(d.nodes) == 0 && !d.masterLeases {
		return nil, nil
	}
	opts, err := d.src.RegistryOptions(d.env, d.opts)
	if err != nil {
		return nil, err
	}
	reg := registry.New(d.src.Db, opts)
	var keys [][]byte
	found := map[string]bool{}
	for entry, err := range reg.Entries(ctx, d.concerns) {
		if err != nil {
			return nil, err
		}
		key := entry.Key
		switch {
		case key.System:
		case key.Plural == "pods":
			node, err := podNode(reg.Decode(ctx, entry))
			if err != nil {
				return nil, err
			}
			if !slices.Contains(d.nodes, node) {
				continue
			}
		case key.Plural == "nodes":
			found[key.Name] = true
		}
		keys = append(keys, []byte(key.Path))
	}
	for _, name := range d.nodes {
		if !found[name] {
			return nil, console.Failf("--drop-node %q: there is no such Node", name)
		}
	}
	slices.SortFunc(keys, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
	return keys, nil
}

// concerns is what has to be looked at; of the Pods all, because only they know
// their node.
func (d *dropper) concerns(k registry.Key) bool {
	switch k.Resource() {
	case "nodes":
		return slices.Contains(d.nodes, k.Name)
	case "leases.coordination.k8s.io":
		return k.Namespace == "kube-node-lease" && slices.Contains(d.nodes, k.Name)
	case "pods":
		return len(d.nodes) > 0
	case "masterleases":
		return d.masterLeases
	}
	return false
}

func podNode(pod *registry.Object) (string, error) {
	content, err := pod.Content()
	if err != nil {
		return "", err
	}
	if content == nil {
		return "", console.WithHint(console.Failf("%s cannot be read, so its node is not known", pod), "leave --drop-node out, and delete the Pods when the cluster runs")
	}
	node, _, err := unstructured.NestedString(content, "spec", "nodeName")
	return node, err
}
