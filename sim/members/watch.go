package members

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// watch looks at the members all the time: for the timeline, and for what must
// never be seen.
type watch struct {
	cluster *cluster
	led     chan struct{} // closed at the first leader
	broken  chan struct{} // closed at the first broken invariant

	lives   map[string]life
	leaders map[reign]string
	buried  map[string]*etcdproc.Member

	mu        sync.Mutex // guards what follows
	last      map[string]sim.Member
	events    []sim.Event
	violation *sim.InvariantError
}

// reign is a term of one of the clusters that a drill makes.
type reign struct {
	epoch int
	term  uint64
}

// life is what a process of a member answered last.
type life struct {
	proc *etcdproc.Member
	seen sim.Member
}

// lookEvery is a tenth of etcd's election timeout.
const lookEvery = 100 * time.Millisecond

func newWatch(c *cluster) *watch {
	return &watch{
		cluster: c, led: make(chan struct{}), broken: make(chan struct{}),
		last: map[string]sim.Member{}, lives: map[string]life{}, leaders: map[reign]string{}, buried: map[string]*etcdproc.Member{},
	}
}

func (w *watch) run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		all := w.cluster.all()
		procs, epochs := make([]*etcdproc.Member, len(all)), make([]int, len(all))
		for i, m := range all {
			procs[i], epochs[i] = m.running(), m.cluster()
			w.obituary(m)
		}
		seen, fresh := w.cluster.look()
		for i, m := range all {
			w.tell(seen[i])
			// A look that met two lives of a member says nothing.
			if fresh[i] && m.running() == procs[i] && m.cluster() == epochs[i] {
				w.judge(seen[i], procs[i], epochs[i])
			}
		}
	}
}

// obituary tells of a member that ended by itself: one that was removed, or that
// etcd gave up on.
func (w *watch) obituary(m *member) {
	m.mu.Lock()
	proc := m.proc
	m.mu.Unlock()
	if proc == nil || proc == w.buried[m.name] {
		return
	}
	select {
	case <-proc.Done():
		w.buried[m.name] = proc
		w.mu.Lock()
		defer w.mu.Unlock()
		w.add(sim.Event{Kind: sim.EventAction, Member: m.name, Text: proc.Exit().Error()})
	default:
	}
}

// cluster is the epoch, for those who have no part in the drill's steps.
func (m *member) cluster() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

// tell puts a member's new role into the timeline.
func (w *watch) tell(s sim.Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.last[s.Name]
	w.last[s.Name] = s
	if s.Role != before.Role || s.Term != before.Term {
		w.add(sim.Event{Kind: sim.EventRole, Member: s.Name, Role: s.Role, Term: s.Term, Commit: s.Commit})
	}
}

// judge holds what a member answered against what was seen before.
func (w *watch) judge(s sim.Member, proc *etcdproc.Member, epoch int) {
	before := w.lives[s.Name]
	w.lives[s.Name] = life{proc, s}
	if before.proc == proc && s.Applied < before.seen.Applied {
		w.breaks(sim.AppliedMonotone, fmt.Sprintf("%s had applied %d, now %d", s.Name, before.seen.Applied, s.Applied))
	}
	// etcd reads leader and term one after the other, so that the look at one
	// who just lost an election may be half old. Nobody is that twice.
	was := before.seen
	if s.Role != sim.RoleLeader || before.proc != proc || was.Role != sim.RoleLeader || s.Term != was.Term {
		return
	}
	if len(w.leaders) == 0 {
		close(w.led)
	}
	r := reign{epoch, s.Term}
	if other := w.leaders[r]; other != "" && other != s.Name {
		w.breaks(sim.OneLeaderPerTerm, fmt.Sprintf("%s and %s both led in term %d", other, s.Name, s.Term))
	}
	w.leaders[r] = s.Name
}

// breaks keeps the first broken invariant of those that the drill names.
func (w *watch) breaks(name sim.Invariant, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.violation == nil && w.cluster.holds(name) {
		w.violation = &sim.InvariantError{Name: name, At: w.cluster.Now(), Detail: detail}
		close(w.broken)
	}
}

// invariant is the first broken invariant, nil for none.
func (w *watch) invariant() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.violation == nil {
		return nil
	}
	return w.violation
}

// note puts something into the timeline.
func (w *watch) note(kind sim.EventKind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(sim.Event{Kind: kind, Text: text})
}

func (w *watch) add(e sim.Event) {
	e.At = sim.Duration(w.cluster.Now())
	switch len(w.events) {
	case sim.MaxEvents:
		return
	case sim.MaxEvents - 1:
		e = sim.Event{At: e.At, Kind: sim.EventTruncated}
	}
	w.events = append(w.events, e)
}

func (w *watch) timeline() []sim.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}
