package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// Pods are Pods to be placed.
type Pods = []*corev1.Pod

// ReadNodes reads a file with manifests of Nodes, or a List of them as kubectl
// prints it, in the place of a backup.
func ReadNodes(path string) (*Cluster, error) {
	objects, err := manifests(path)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	for _, obj := range objects {
		node, ok := obj.(*corev1.Node)
		if !ok {
			return nil, fmt.Errorf("reading %q: it holds a %T, and only Nodes are looked for", path, obj)
		}
		c.Objects.Nodes = append(c.Objects.Nodes, node)
	}
	return c, nil
}

// PodsInFile reads Pods as the API server would take them, each so many times;
// those that name no namespace are in the one given.
func (c *Cluster) PodsInFile(path, namespace string, copies int) (Pods, error) {
	objects, err := manifests(path)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, obj := range objects {
		pod, ok := obj.(*corev1.Pod)
		if !ok {
			return nil, fmt.Errorf("reading %q: it holds a %T, and only Pods are placed", path, obj)
		}
		if pod.Namespace == "" {
			pod.Namespace = namespace
		}
		if pod, err = scheduler.Admit(pod, c.Objects.Others); err != nil {
			return nil, fmt.Errorf("reading %q: %w", path, err)
		}
		pods = append(pods, scheduler.Copies(pod, copies)...)
	}
	return c.take(pods), nil
}

// NotAsked names what has a say about such Pods in the cluster, and none here.
func (c *Cluster) NotAsked(pods Pods) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, scheduler.NotAsked(pod.Namespace, c.Objects.Others)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AddNodes adds copies of the Nodes in a file to the cluster, as new machines: each
// with a name and a hostname label of its own, empty and ready.
func (c *Cluster) AddNodes(path string, copies int) error {
	more, err := ReadNodes(path)
	if err != nil {
		return err
	}
	added, err := scheduler.NewNodes(c.Objects.Nodes, more.Objects.Nodes, copies)
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	c.Objects.Nodes = append(c.Objects.Nodes, added...)
	return nil
}

// TakePending takes the Pods that wait for a node, to be placed as they are: each
// is the next one in the queue.
func (c *Cluster) TakePending() Pods { return c.take(c.Objects.Pending()) }

// TakeNamed takes Pods off their nodes, to be placed again. A name that is not
// there is an error.
func (c *Cluster) TakeNamed(namespace string, names []string) (Pods, error) {
	var found Pods
	for _, pod := range c.Objects.Pods {
		if pod.Namespace == namespace && slices.Contains(names, pod.Name) {
			found = append(found, pod)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(found, func(p *corev1.Pod) bool { return p.Name == name }) {
			return nil, fmt.Errorf("pods %q not found in namespace %q", name, namespace)
		}
	}
	return c.take(found), nil
}

func (c *Cluster) take(pods Pods) Pods {
	c.Objects, pods = c.Objects.Take(pods)
	return pods
}

// manifests reads a file of built-in objects; Lists are taken apart.
func manifests(path string) ([]any, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var objects []any
	reader := utilyaml.NewYAMLOrJSONDecoder(file, 4096)
	for number := 1; ; number++ {
		var raw rawDocument
		if err := reader.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return objects, nil
			}
			return nil, fmt.Errorf("reading %q: document %d is neither YAML nor JSON", path, number)
		}
		for _, data := range raw.objects() {
			obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
			if err != nil {
				return nil, fmt.Errorf("reading %q: document %d: %w", path, number, err)
			}
			objects = append(objects, obj)
		}
	}
}

// rawDocument is a manifest, or a List of them.
type rawDocument struct{ json.RawMessage }

func (r rawDocument) objects() [][]byte {
	var list struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(r.RawMessage, &list) != nil || !strings.HasSuffix(list.Kind, "List") {
		if string(r.RawMessage) == "null" || len(r.RawMessage) == 0 {
			return nil // an empty document
		}
		return [][]byte{r.RawMessage}
	}
	items := make([][]byte, len(list.Items))
	for i, item := range list.Items {
		items[i] = item
	}
	return items
}
