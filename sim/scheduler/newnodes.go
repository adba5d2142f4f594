package scheduler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ErrNoRoom says that a node that is to be added tells nothing of its size.
var ErrNoRoom = errors.New("the Node has no status.allocatable: nothing would fit on it")

// NewNodes are copies of nodes as machines that have just joined: ready, empty,
// each under a name and a hostname label that no node has.
func NewNodes(existing, templates []*corev1.Node, copies int) ([]*corev1.Node, error) {
	names := map[string]bool{}
	for _, node := range existing {
		names[node.Name] = true
	}
	var added []*corev1.Node
	for _, template := range templates {
		if len(template.Status.Allocatable) == 0 {
			return nil, fmt.Errorf("node %q: %w", template.Name, ErrNoRoom)
		}
		for n := 1; n <= copies; n++ {
			name := template.Name
			for i := n; names[name] || name == ""; i++ {
				name = fmt.Sprintf("%s-new-%d", template.Name, i)
			}
			names[name] = true
			added = append(added, joined(template, name))
		}
	}
	return added, nil
}

// joined is a node as it is once its kubelet has registered it.
func joined(template *corev1.Node, name string) *corev1.Node {
	node := template.DeepCopy()
	node.ObjectMeta = metav1.ObjectMeta{
		Name: name, UID: types.UID("new-" + name), Annotations: node.Annotations, Labels: maps.Clone(node.Labels),
		CreationTimestamp: metav1.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), // after all others
	}
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	node.Labels[corev1.LabelHostname] = name
	node.Spec.Unschedulable, node.Spec.ProviderID = false, ""
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool {
		return strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/")
	})
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	node.Status.VolumesAttached, node.Status.VolumesInUse, node.Status.Images = nil, nil, nil
	return node
}
