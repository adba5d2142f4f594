package registry

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
)

// Survey is what a backup holds, at a glance.
type Survey struct {
	Objects int64 `json:"objects"` // API objects
	Other   int64 `json:"other"`   // keys that hold none: allocations, leases of API servers, foreign keys

	// Keyspace is where the other keys stand; its Check tells a prefix under which
	// nothing is.
	Keyspace Keyspace `json:"keyspace"`

	Namespaces []Count     `json:"namespaces"` // by name; "" are the cluster-scoped objects
	Resources  []Count     `json:"resources"`  // by name
	Locks      []LockCount `json:"encryptedAtRest"`

	Version KubernetesVersion `json:"kubernetes"`

	// Newest is the newest renewal of a Lease, which kubelets write every ten
	// seconds: when the backup was made, as near as its own content tells.
	Newest time.Time `json:"newest,omitzero"`
}

// Count is objects and bytes of their values as stored.
type Count struct {
	Name    string `json:"name"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// LockCount is the values that one key encrypts at rest.
type LockCount struct {
	Lock    Lock  `json:"lock"`
	Objects int64 `json:"objects"`
	Locked  int64 `json:"locked"` // of them, those that no key at hand opens
}

// KubernetesVersion is a release, with how it was learned.
type KubernetesVersion struct {
	Version string `json:"version,omitempty"` // "v1.37.1"
	From    string `json:"from,omitempty"`
	Guess   bool   `json:"guess,omitempty"` // a kubelet may be older than its API server
}

// Survey makes one pass over all live keys. Only Nodes, Leases, the mirror
// Pods of API servers and encrypted values are opened.
func (r *Registry) Survey(ctx context.Context) (*Survey, error) {
	prefixes := newPrefixTally(r.opts.Prefix)
	t := tally{registry: r, namespaces: map[string]*Count{}, resources: map[string]*Count{}, locks: map[Lock]*LockCount{}}
	for kv, err := range r.reader.At(ctx, r.opts.Revision, nil) {
		if err != nil {
			return nil, err
		}
		prefixes.add(string(kv.Key), kv.Value)
		key, err := ParseKey(r.opts.Prefix, string(kv.Key))
		if err != nil || key.System {
			t.survey.Other++
			t.lock(ctx, string(kv.Key), kv.Value) // what is encrypted counts wherever it stands
			continue
		}
		t.add(ctx, Entry{Key: key, KV: kv})
	}
	s := &t.survey
	s.Keyspace = *prefixes.done()
	byName := func(a, b Count) int { return strings.Compare(a.Name, b.Name) }
	s.Namespaces, s.Resources = sorted(t.namespaces, byName), sorted(t.resources, byName)
	s.Locks = sorted(t.locks, func(a, b LockCount) int {
		return cmp.Or(strings.Compare(a.Lock.Provider, b.Lock.Provider), strings.Compare(a.Lock.Name, b.Lock.Name), strings.Compare(a.Lock.KeyID, b.Lock.KeyID))
	})
	s.Version = t.version()
	return s, nil
}

// tally collects a Survey.
type tally struct {
	registry *Registry
	survey   Survey

	namespaces, resources map[string]*Count
	locks                 map[Lock]*LockCount

	server, kubelet     *version.Version // the newest seen
	serverPod, kubeletN string           // and where
}

func (t *tally) add(ctx context.Context, e Entry) {
	t.survey.Objects++
	count(t.namespaces, e.Key.Namespace, e)
	count(t.resources, e.Key.Resource(), e)
	t.lock(ctx, e.Key.Path, e.KV.Value)
	isServer := e.Key.Plural == "pods" && e.Key.Namespace == "kube-system" && strings.HasPrefix(e.Key.Name, "kube-apiserver")
	if isServer || e.Key.Plural == "nodes" || e.Key.Plural == "leases" {
		t.open(t.registry.Decode(ctx, e))
	}
}

// lock counts a value that is encrypted at rest.
func (t *tally) lock(ctx context.Context, path string, value []byte) {
	lock, ok := ParseLock(value)
	if !ok {
		return
	}
	n := t.locks[lock]
	if n == nil {
		n = &LockCount{Lock: lock}
		t.locks[lock] = n
	}
	n.Objects++
	if _, err := t.registry.opts.Keyring.Open(ctx, path, value); err != nil {
		n.Locked++
	}
}

// open takes what dates the backup out of an object.
func (t *tally) open(o *Object) {
	switch obj := o.Typed.(type) {
	case *coordinationv1.Lease:
		if obj.Spec.RenewTime != nil && obj.Spec.RenewTime.After(t.survey.Newest) {
			t.survey.Newest = obj.Spec.RenewTime.UTC()
		}
	case *corev1.Node:
		newer(&t.kubelet, &t.kubeletN, obj.Status.NodeInfo.KubeletVersion, obj.Name)
	case *corev1.Pod:
		for _, c := range obj.Spec.Containers {
			if c.Name == "kube-apiserver" {
				newer(&t.server, &t.serverPod, imageTag(c.Image), obj.Name)
			}
		}
	}
}

func (t *tally) version() KubernetesVersion {
	switch {
	case t.server != nil:
		return KubernetesVersion{Version: "v" + t.server.String(), From: "image of Pod kube-system/" + t.serverPod}
	case t.kubelet != nil:
		return KubernetesVersion{Version: "v" + t.kubelet.String(), From: "kubelet of Node " + t.kubeletN, Guess: true}
	}
	return KubernetesVersion{}
}

// newer keeps the newest version and where it was seen.
func newer(best **version.Version, where *string, text, at string) {
	v, err := version.ParseSemantic(text)
	if err != nil {
		return
	}
	if *best == nil || (*best).LessThan(v) || !v.LessThan(*best) && at < *where {
		*best, *where = v, at
	}
}

// imageTag is the tag of an image reference, without a digest.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !ok {
		return ""
	}
	return tag
}

func count(counts map[string]*Count, name string, e Entry) {
	n := counts[name]
	if n == nil {
		n = &Count{Name: name}
		counts[name] = n
	}
	n.Objects++
	n.Bytes += int64(len(e.KV.Value))
}

func sorted[K comparable, V any](counts map[K]*V, compare func(a, b V) int) []V {
	list := make([]V, 0, len(counts))
	for _, n := range slices.Collect(maps.Values(counts)) {
		list = append(list, *n)
	}
	slices.SortFunc(list, compare)
	return list
}
