package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// OrderBy says in which order a scheduler gets to know the nodes.
type OrderBy string

// The orders of arrival. Which of them a real scheduler can have:
// up to 1.34 a restart lists the nodes by name, as etcd's keys stand; from
// 1.35 on the list is streamed (client-go's WatchListClient) into a map, so
// that any order is legal; nodes that join later come by creation.
const (
	ByName     OrderBy = "name"
	ByCreation OrderBy = "created"
	BySeed     OrderBy = "seed"
)

// Order is an order of arrival. The zero value is by name.
type Order struct {
	By   OrderBy
	Seed uint64 // for BySeed
}

func (o Order) String() string {
	switch o.By {
	case BySeed:
		return fmt.Sprintf("seed %d", o.Seed)
	case "":
		return string(ByName)
	}
	return string(o.By)
}

// Arrange returns the nodes in this order of arrival.
func (o Order) Arrange(nodes []*corev1.Node) []*corev1.Node {
	byName := func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) }
	arranged := slices.Clone(nodes)
	slices.SortFunc(arranged, byName) // so that chance starts from the same list
	switch o.By {
	case ByCreation:
		slices.SortStableFunc(arranged, func(a, b *corev1.Node) int {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		})
	case BySeed:
		r := rand.New(rand.NewPCG(o.Seed, 0))
		r.Shuffle(len(arranged), func(i, j int) { arranged[i], arranged[j] = arranged[j], arranged[i] })
	case ByName:
	}
	return arranged
}

// NodeOrder is the order in which the scheduler walks over nodes that arrive
// as given: its own cache deals them out zone by zone
// (pkg/scheduler/backend/cache/node_tree.go).
func NodeOrder(ctx context.Context, arrived []*corev1.Node) ([]string, error) {
	metrics.Register() // the cache counts into them, from a goroutine of its own
	quiet := klog.Logger{}
	ctx, stop := context.WithCancel(klog.NewContext(ctx, quiet))
	defer stop()
	nodes := cache.New(ctx, nil, false, false)
	for _, node := range arrived {
		nodes.AddNode(quiet, node)
	}
	snapshot := cache.NewEmptySnapshot()
	if err := nodes.UpdateSnapshot(quiet, snapshot); err != nil {
		return nil, fmt.Errorf("ordering nodes: %w", err)
	}
	return snapshotOrder(snapshot)
}

func snapshotOrder(snapshot *cache.Snapshot) ([]string, error) {
	infos, err := snapshot.NodeInfos().List()
	if err != nil {
		return nil, fmt.Errorf("ordering nodes: %w", err)
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Node().Name
	}
	return names, nil
}
