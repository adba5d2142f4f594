package quorum

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// Now implements sim.Cluster.
func (c *Cluster) Now() time.Duration { return c.now }

// Advance implements sim.Cluster.
func (c *Cluster) Advance(ctx context.Context, until time.Duration) (err error) {
	defer c.guard(&err)
	return c.until(ctx, until, func() bool { return false })
}

// Count is how many events the cluster has handled.
func (c *Cluster) Count() uint64 { return c.count }

// Members implements sim.Cluster.
func (c *Cluster) Members() []sim.Member {
	out := make([]sim.Member, len(c.members))
	for i, m := range c.members {
		reachable := 0
		for _, other := range c.members {
			if other == m && m.running() || other != m && c.reaches(m, other) {
				reachable++
			}
		}
		out[i] = sim.Member{
			Name: m.name, Role: c.roleOf(m), Learner: c.isLearner(m), Epoch: m.lineage, Term: m.term, Commit: m.disk.hard.GetCommit(),
			Applied: m.state.applied, Reachable: reachable,
		}
	}
	return out
}

func (c *Cluster) isLearner(m *member) bool {
	if l, ok := m.state.members[m.id]; ok {
		return l.learner
	}
	if s := c.standing(); s != nil { // it has not heard of itself yet
		return s.members[m.id].learner
	}
	return false
}

func (c *Cluster) roleOf(m *member) sim.Role {
	switch {
	case m.gone && !m.running():
		return sim.RoleRemoved
	case !m.running():
		return sim.RoleDown
	case m.role == raft.StateLeader:
		return sim.RoleLeader
	case m.role == raft.StateCandidate || m.role == raft.StatePreCandidate:
		return sim.RoleCandidate
	case m.state.members[m.id].learner:
		return sim.RoleLearner
	}
	return sim.RoleFollower
}

// await submits r to m and lets time pass until its answer. A write that is
// not committed in time gets the server's answer, if its client is still there;
// reads are tried again by etcd's client.
func (c *Cluster) await(ctx context.Context, m *member, r *request) error {
	text := textDeadline
	if end := c.now + c.requestTimeout(); !r.read && r.deadline > end {
		r.deadline, text = end, textTimedOut
	}
	c.submit(m, r)
	if err := c.until(ctx, r.deadline-1, func() bool { return r.done }); err != nil {
		return err
	}
	c.fail(r, text)
	return r.err
}

// requestTimeout is etcd's (config/config.go, ReqTimeout).
func (c *Cluster) requestTimeout() time.Duration { return 5*time.Second + 2*c.given.Election.D() }

// Write implements sim.Cluster.
func (c *Cluster) Write(ctx context.Context, on []string, timeout time.Duration) (err error) {
	defer c.guard(&err)
	targets, err := c.named(on)
	if err != nil {
		return err
	}
	if len(on) == 0 {
		for _, m := range c.members {
			if m.running() && !c.isLearner(m) {
				targets = append(targets, m)
			}
		}
		// The newest cluster first, as sim/members has it. A client that requires a
		// leader passes over members that know none.
		slices.SortStableFunc(targets, func(a, b *member) int {
			return cmp.Or(cmp.Compare(b.lineage, a.lineage), cmp.Compare(rank(a), rank(b)))
		})
	}
	if len(targets) == 0 {
		return errNobody
	}
	end := c.now + timeout
	err = errClient(textDeadline)
	for i, m := range targets {
		share := (end - c.now) / time.Duration(len(targets)-i)
		r := &request{cmd: command{op: opPut, arg: probeKey, bytes: writeBytes}, deadline: c.now + share, load: true}
		if err = c.await(ctx, m, r); err == nil || ctx.Err() != nil || isBroken(err) {
			return err
		}
	}
	return err
}

func rank(m *member) int {
	switch {
	case m.role == raft.StateLeader:
		return 0
	case m.leader != 0:
		return 1
	}
	return 2
}

// Read implements sim.Cluster.
func (c *Cluster) Read(ctx context.Context, on string, linearizable bool, timeout time.Duration) (err error) {
	defer c.guard(&err)
	m := c.byName(on)
	switch {
	case m == nil:
		return &sim.FatalError{Err: fmt.Errorf("there is no member %q", on)}
	case linearizable:
		return c.await(ctx, m, &request{read: true, deadline: c.now + timeout})
	}
	end := c.now + timeout
	if err := c.serves(ctx, m, timeout); err != nil {
		return err
	}
	if max(m.stalled, m.paused) > c.now {
		ready := max(m.stalled, m.paused)
		if err := c.until(ctx, min(ready, end), func() bool { return false }); err != nil {
			return err
		}
		if ready > c.now {
			return errClient(textDeadline)
		}
	}
	return nil
}

// localTimeout is for what a member answers by itself, if it answers at all.
const localTimeout = 2 * time.Second

// MemberList implements sim.Cluster.
func (c *Cluster) MemberList(ctx context.Context, on string) (out []sim.ListedMember, err error) {
	defer c.guard(&err)
	m := c.byName(on)
	if m == nil {
		return nil, errClient(textRefused)
	}
	if err := c.serves(ctx, m, localTimeout); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(m.state.members)) {
		l := m.state.members[id]
		out = append(out, sim.ListedMember{Name: c.members[id-1].name, Learner: l.learner, Started: l.started})
	}
	return out, nil
}

// Status implements sim.Cluster.
func (c *Cluster) Status(ctx context.Context, on string) (s sim.Status, err error) {
	defer c.guard(&err)
	m := c.byName(on)
	if m == nil {
		return s, errClient(textRefused)
	}
	if err := c.serves(ctx, m, localTimeout); err != nil {
		return s, err
	}
	s = sim.Status{Term: m.term, Hash: uint32(m.state.hash ^ m.state.hash>>32), Revision: int64(m.state.revision)}
	if m.leader != 0 {
		s.Leader = c.members[m.leader-1].name
	} else {
		s.Errors = append(s.Errors, textNoLeader)
	}
	if m.state.noSpace {
		s.Alarms = append(s.Alarms, "NOSPACE")
		s.Errors = append(s.Errors, "memberID:"+strconv.FormatUint(m.id, 10)+" alarm:NOSPACE ")
	}
	return s, nil
}

// Objects implements sim.Cluster: there are none.
func (c *Cluster) Objects(context.Context, string, string) (read, of int, err error) {
	return 0, 0, sim.ErrUnsupported
}

// Checked implements sim.Cluster.
func (c *Cluster) Checked() []sim.Invariant { return slices.Clone(c.checked) }

// Tally implements sim.Cluster.
func (c *Cluster) Tally() sim.Tally {
	t := c.tally
	if t.LostKnown = c.answers(c.leader()); t.LostKnown {
		t.Lost, t.LostKeys = c.lost(c.standing())
	} else if len(c.acked) == 0 {
		t.LostKnown = true
	}
	t.Gaps, t.Silences, t.Buckets = slices.Clone(t.Gaps), slices.Clone(t.Silences), slices.Clone(t.Buckets)
	t.Failures = slices.Clone(t.Failures)
	if c.loaded && c.now-c.lastAck >= c.silence() {
		t.Gaps = append(t.Gaps, sim.Gap{From: sim.Duration(c.lastAck)})
	}
	return t
}

// Events implements sim.Cluster.
func (c *Cluster) Events() []sim.Event { return slices.Clone(c.events) }

func (c *Cluster) event(e sim.Event) {
	e.At = sim.Duration(c.now)
	switch {
	case len(c.events) < sim.MaxEvents-1:
		c.events = append(c.events, e)
	case len(c.events) == sim.MaxEvents-1:
		c.events = append(c.events, sim.Event{At: e.At, Kind: sim.EventTruncated})
	}
}

// Digest implements sim.Cluster.
func (c *Cluster) Digest() string { return fmt.Sprintf("%016x", c.digest) }

// Close implements sim.Cluster. There is nothing to remove.
func (c *Cluster) Close() error { return nil }

// Seen is the newest revision that a watcher can have seen before the last
// restore or rebuild, 0 when there was none.
func (c *Cluster) Seen() int64 { return int64(c.seen) }
