// Package nodes answers drills that lose nodes of a backup: kube-scheduler's own
// code says where its Pods go (sim/scheduler), the arithmetic of Kubernetes'
// controllers says when (sim/nodeloss).
//
// [Cluster] is the sim.NodeLoser that sim/drill asks. Each loss begins with the
// cluster as the backup has it, so the steps of a drill do not hang on each
// other.
package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
	"github.com/lifeboat-dr/lifeboat/sim/scheduler"
)

// Cluster is a backup's cluster.
type Cluster struct {
	Objects scheduler.Objects
	Options scheduler.Options
	Tuning  nodeloss.Tuning
	Notes   []string // more that the answers rest on
}

var _ sim.NodeLoser = (*Cluster)(nil)

// Basis implements sim.NodeLoser.
func (c *Cluster) Basis() []string {
	t := c.Tuning
	return append([]string{
		fmt.Sprintf("Where Pods go says kube-scheduler %s; nodes arrived by %s.", scheduler.Library, c.Options.Order),
		fmt.Sprintf("When says the node lifecycle controller, %s: grace %s, a pass every %s. Nodes lose their power. Times are the longest over all phases of heartbeats; requests, image pulls and starts come on top.",
			t.Name, nodeloss.Seconds(t.Grace), nodeloss.Seconds(t.Period)),
		"Pods of a StatefulSet are placed as if they had been deleted by hand; without that they do not come back.",
	}, c.Notes...)
}

// Pods implements sim.NodeLoser.
func (c *Cluster) Pods(namespace string) (n int) {
	for _, pod := range c.Objects.Pods {
		if pod.Spec.NodeName != "" && (namespace == "" || pod.Namespace == namespace) {
			n++
		}
	}
	return n
}

// Lose implements sim.NodeLoser.
func (c *Cluster) Lose(ctx context.Context, a sim.Action) ([]sim.NodeLoss, error) {
	targets, err := c.targets(a)
	if err != nil {
		return nil, err
	}
	played, err := scheduler.LoseEach(ctx, c.Objects, c.Options, targets, nil)
	if err != nil {
		return nil, err
	}
	losses := make([]sim.NodeLoss, len(played))
	for i, loss := range played {
		forecast, err := c.Tuning.Forecast(nodeloss.Cluster(c.Objects), nodeloss.Power, loss.Nodes, loss.Places())
		if err != nil {
			return nil, err
		}
		losses[i] = sim.NodeLoss{Name: loss.Name, Nodes: loss.Nodes, Pods: fates(loss, forecast)}
	}
	return losses, nil
}

func (c *Cluster) targets(a sim.Action) ([]scheduler.Target, error) {
	nodes, one, all := c.Objects.Nodes, scheduler.NodeTarget, scheduler.NodeTargets
	if a.Verb == sim.LoseZone {
		one, all = scheduler.ZoneTarget, scheduler.ZoneTargets
	}
	if len(nodes) == 0 {
		return nil, scheduler.ErrNoNodes
	}
	if !slices.Equal(a.Targets, []sim.Selector{sim.Each}) {
		target, err := one(nodes, a.Names()...)
		return []scheduler.Target{target}, err
	}
	targets := all(nodes)
	if len(targets) == 0 {
		return nil, fmt.Errorf("losing each zone: no zone has more than one node: %w", scheduler.ErrNoSuchZone)
	}
	return targets, nil
}

// fates joins where and when. A Pod that was pushed out comes back no later
// than the last of those for whom room was made can be placed.
func fates(loss *scheduler.Loss, forecast *nodeloss.Report) []sim.PodFate {
	when := map[string]nodeloss.PodFate{}
	last := forecast.Detected.Max
	for _, p := range forecast.Pods {
		when[p.Pod] = p
		if p.Evicted != nil {
			last = max(last, p.Evicted.Max)
		}
	}
	var out []sim.PodFate
	for _, lost := range loss.Pods {
		namespace, name, _ := strings.Cut(lost.Pod, "/")
		p := sim.PodFate{Namespace: namespace, Name: name, Node: lost.From, Pending: lost.Pending(), Why: lost.Why}
		if lost.Placement != nil {
			p.To = lost.Placement.Node
		}
		then := when[lost.Pod]
		switch {
		case lost.Cause == scheduler.Preempted:
			p.Why = "pushed out by a Pod of a higher priority; " + p.Why
			if p.To != "" {
				p.Back = back(last)
			}
		case then.Back != nil:
			p.Back = back(then.Back.Max)
		default:
			p.Stays, p.Why = then.Comeback == nodeloss.Stays, then.Never
		}
		if p.Pending {
			p.Why = "stays Pending: " + lost.Reason()
		}
		if lost.Data != "" && !p.Stays {
			p.Why = strings.TrimPrefix(p.Why+"; "+lost.Data, "; ")
		}
		out = append(out, p)
	}
	return out
}

func back(d time.Duration) *sim.Duration {
	rounded := sim.Duration((d + time.Second - 1).Truncate(time.Second))
	return &rounded
}
