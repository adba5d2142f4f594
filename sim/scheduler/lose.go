package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifeboat-dr/lifeboat/sim/nodeloss"
)

// ErrNoSuchNode says that a node to be lost is not in the cluster.
var ErrNoSuchNode = errors.New("no such node")

// ErrNoPods says that no Pod of the cluster has a node: a loss would prove nothing.
var ErrNoPods = errors.New("no Pod has a node: there is nothing to lose")

// Loss is what becomes of a cluster that lost nodes for good.
type Loss struct {
	Name  string   `json:"name"`  // of the drill: a node, or a zone
	Nodes []string `json:"nodes"` // lost

	Pods    []LostPod      `json:"pods"` // that stood on them, and those they pushed out, in the order of the queue
	Budgets []BudgetBreak  `json:"budgets,omitempty"`
	Skews   []SkewBreak    `json:"skews,omitempty"`
	Zones   []ZoneHeadroom `json:"zones"` // what is left afterwards

	Placed    int `json:"placed"`
	Pending   int `json:"pending"`
	Gone      int `json:"gone"`    // nobody makes them again
	Assumed   int `json:"assumed"` // placed or Pending, if controllers that are not Kubernetes' own make them again
	Preempted int `json:"preempted"`
	Blocked   int `json:"blocked,omitempty"` // of a drain: they cannot be evicted, and stay
}

// Cause is why a Pod needs another place.
type Cause string

// The causes.
const (
	Lost      Cause = "lost"      // its node is lost
	Preempted Cause = "preempted" // another Pod pushed it out
	Drained   Cause = "drained"   // its node is drained
)

// LostPod is one Pod's fate.
type LostPod struct {
	Pod      string            `json:"pod"` // namespace/name
	From     string            `json:"from"`
	Cause    Cause             `json:"cause"`
	Comeback nodeloss.Comeback `json:"comeback"`
	Why      string            `json:"why"`

	Placement *Placement `json:"placement,omitempty"` // nil when it is not placed again
	Refused   string     `json:"refused,omitempty"`   // why the scheduler would not look at it
	Blocked   string     `json:"blocked,omitempty"`   // of a drain: why it cannot be evicted
	Data      string     `json:"data,omitempty"`      // what it leaves behind on its node
}

// Pending says whether the Pod waits for a place in the end.
func (l *LostPod) Pending() bool {
	return l.Refused != "" || l.Placement != nil && l.Placement.Node == ""
}

// Reason is why a Pod that is Pending has no node, in the scheduler's words.
func (l *LostPod) Reason() string {
	switch {
	case l.Refused != "":
		return l.Refused
	case l.Placement != nil:
		return l.Placement.Message
	}
	return ""
}

// Places are where the successors of the lost Pods go, for nodeloss to tell when.
func (l *Loss) Places() map[string]nodeloss.Place {
	places := map[string]nodeloss.Place{}
	for _, p := range l.Pods {
		switch {
		case p.Cause != Lost:
		case p.Refused != "":
			places[p.Pod] = nodeloss.Place{Message: p.Refused}
		case p.Placement != nil:
			places[p.Pod] = nodeloss.Place{Node: p.Placement.Node, Message: p.Placement.Message}
		}
	}
	return places
}

// Lose places everything again that would be made again when the nodes are
// lost. The lost nodes stay in the node order with the taints of an unreachable
// node, as their objects do, and evicted Pods stay on them, terminating; those
// that have to be gone before they come back count as deleted by hand.
func Lose(ctx context.Context, objects Objects, opts Options, name string, lost []string) (*Loss, error) {
	return newRehearsal(ctx, newFacts(objects), opts).once(func(r *Rehearsal) (*Loss, error) { return r.Lose(name, lost) })
}

// Drain empties nodes as kubectl drain does, all of them cordoned first: Pods are
// evicted as their PodDisruptionBudgets allow, each round after the successors of
// the last one have a place. What no round can evict is blocked.
func Drain(ctx context.Context, objects Objects, opts Options, name string, nodes []string) (*Loss, error) {
	return newRehearsal(ctx, newFacts(objects), opts).once(func(r *Rehearsal) (*Loss, error) { return r.Drain(name, nodes) })
}

func (r *Rehearsal) once(run func(*Rehearsal) (*Loss, error)) (*Loss, error) {
	defer r.Close()
	return run(r)
}

// LoseEach loses every target by itself, side by side on all cores, and returns
// the losses in the order of the targets. Each begins with the cluster as it is.
// done, unless nil, is told of each loss, from one goroutine at a time.
func LoseEach(ctx context.Context, objects Objects, opts Options, targets []Target, done func(*Loss)) ([]*Loss, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	facts, losses := newFacts(objects), make([]*Loss, len(targets))
	order := largestFirst(targets)
	var (
		mu    sync.Mutex
		next  int
		group sync.WaitGroup
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(order) || ctx.Err() != nil {
			return 0, false
		}
		next++
		return order[next-1], true
	}
	for range min(runtime.GOMAXPROCS(0), len(targets)) {
		group.Go(func() {
			r := newRehearsal(ctx, facts, opts)
			defer r.Close()
			for i, ok := take(); ok; i, ok = take() {
				loss, err := r.Lose(targets[i].Name, targets[i].Nodes)
				if err != nil {
					cancel(err)
					return
				}
				losses[i] = loss
				if done != nil {
					mu.Lock()
					done(loss)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return losses, nil
}

// largestFirst are the indexes of targets: a zone that begins last would leave
// the other cores idle.
func largestFirst(targets []Target) []int {
	order := make([]int, len(targets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(targets[b].Nodes), len(targets[a].Nodes)) })
	return order
}

// successorSuffix tells a successor's uid and claims from those of the old Pod.
const successorSuffix = "-again"

// Successor is the Pod that a controller would make in the place of another:
// the same without its place and its past. It keeps the name, so that a report
// can be read, although a ReplicaSet would draw another one. Its claims are
// those of the old Pod: [Objects.Take] gives it its own.
func Successor(pod *corev1.Pod) *corev1.Pod {
	again := pod.DeepCopy()
	again.UID = pod.UID + successorSuffix
	again.DeletionTimestamp, again.DeletionGracePeriodSeconds = nil, nil
	again.Spec.NodeName = ""
	again.Status = corev1.PodStatus{Phase: corev1.PodPending}
	return again
}

func noSuchNode(name string) error { return fmt.Errorf("losing node %q: %w", name, ErrNoSuchNode) }
