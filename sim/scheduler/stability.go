package scheduler

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Stability is where one Pod goes over many node orders.
type Stability struct {
	Pod    string  `json:"pod"`
	Stable bool    `json:"stable"` // one answer, and never a tie
	Ties   int     `json:"ties"`   // runs in which several nodes had the best score
	Shares []Share `json:"shares"` // the most frequent first
	Nodes  int     `json:"nodes"`  // in how many places it came to stand
}

// Share is how often one node won.
type Share struct {
	Node string `json:"node"` // "" stayed Pending
	Runs int    `json:"runs"`
}

// Spread places the Pods, in the order of the queue, once per seed on a fresh
// scheduler: which answers hold, and which hang on the order of the nodes.
func Spread(ctx context.Context, objects Objects, opts Options, pods []*corev1.Pod, seeds []uint64) ([]Stability, error) {
	queue := ByQueue(pods)
	runs := make([]map[string]int, len(queue))
	result := make([]Stability, len(queue))
	for i, pod := range queue {
		runs[i], result[i].Pod = map[string]int{}, podName(pod)
	}
	for _, seed := range seeds {
		opts.Order = Order{By: BySeed, Seed: seed}
		if err := spreadOnce(ctx, objects, opts, queue, func(i int, p *Placement) {
			runs[i][p.Node]++
			if len(p.Ties) > 0 {
				result[i].Ties++
			}
		}); err != nil {
			return nil, err
		}
	}
	for i := range result {
		r := &result[i]
		for node, n := range runs[i] {
			r.Shares = append(r.Shares, Share{node, n})
		}
		slices.SortFunc(r.Shares, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Runs, a.Runs), strings.Compare(a.Node, b.Node)) })
		r.Nodes = len(r.Shares)
		r.Stable = r.Nodes <= 1 && r.Ties == 0
	}
	return result, nil
}

func spreadOnce(ctx context.Context, objects Objects, opts Options, queue []*corev1.Pod, each func(int, *Placement)) error {
	sim, err := New(ctx, objects, opts)
	if err != nil {
		return err
	}
	defer sim.Close()
	for i, pod := range queue {
		placed, err := sim.Place(pod, false)
		if err != nil {
			return err
		}
		each(i, placed)
	}
	return nil
}
