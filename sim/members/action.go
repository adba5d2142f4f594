package members

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// Do implements sim.Cluster.
func (c *cluster) Do(ctx context.Context, a sim.Action) error {
	c.watch.note(sim.EventAction, a.String())
	err := c.do(ctx, a)
	if err != nil {
		c.watch.note(sim.EventAction, a.String()+": "+err.Error())
	}
	return err
}

func (c *cluster) do(ctx context.Context, a sim.Action) error {
	switch a.Verb {
	case sim.Kill:
		return c.each(a, func(m *member) error { m.kill(); return nil })
	case sim.Stop:
		return c.each(a, func(m *member) error { return m.shutdown(ctx) })
	case sim.Start:
		return c.each(a, func(m *member) error { return c.begin(ctx, m) })
	case sim.DiskLoss:
		return c.each(a, func(m *member) error {
			m.kill()
			return os.RemoveAll(c.lab.DataDir(m.name))
		})
	case sim.ClockPause:
		return c.each(a, func(m *member) error { return c.pause(m, a.By.D()) })
	case sim.Wait:
		return c.Advance(ctx, c.Now()+a.By.D())

	case sim.Partition, sim.OneWay, sim.Isolate, sim.Heal, sim.Delay, sim.Drop:
		return c.link(a)

	case sim.AddMember, sim.AddLearner:
		for _, name := range a.Names() {
			if err := c.add(ctx, name, a.Verb == sim.AddLearner); err != nil {
				return err
			}
		}
		return nil
	case sim.Promote:
		return c.each(a, func(m *member) error { return c.promote(ctx, m) })
	case sim.Remove:
		return c.each(a, func(m *member) error { return c.remove(ctx, m) })
	case sim.MoveLeader:
		return c.each(a, func(m *member) error { return c.moveLeader(ctx, m) })

	case sim.ForceNewCluster:
		return c.each(a, func(m *member) error { return c.forceNewCluster(ctx, m) })
	case sim.Rebuild:
		return c.each(a, func(m *member) error { return c.rebuild(ctx, m, bump(a)) })
	case sim.Restore:
		return c.each(a, func(m *member) error { return c.restore(ctx, m, bump(a)) })
	case sim.Save:
		return c.each(a, func(m *member) error { return c.save(ctx, m) })

	case sim.Fill:
		return c.fill(ctx, a.Bytes)
	case sim.Compact:
		return c.compact(ctx)
	case sim.Defrag:
		return c.each(a, func(m *member) error { return c.defrag(ctx, m) })
	case sim.Disarm:
		return c.disarm(ctx)
	case sim.RaiseQuota:
		return c.each(a, func(m *member) error { return c.raiseQuota(ctx, m, a.Bytes) })
	}
	return fmt.Errorf("%s: %w", a.Verb, sim.ErrUnsupported)
}

// each does the same to one target after the other, up to the first error.
func (c *cluster) each(a sim.Action, do func(*member) error) error {
	for _, name := range a.Names() {
		m := c.member(name)
		if m == nil {
			return unknown(name)
		}
		if err := do(m); err != nil {
			return err
		}
	}
	return nil
}

// begin starts a member on what it has. One that was added and never started
// joins with the members that the cluster has now.
func (c *cluster) begin(ctx context.Context, m *member) error {
	if m.config.Existing && m.config.InitialCluster == "" {
		if err := c.joinFlags(ctx, m); err != nil {
			return err
		}
	}
	if err := c.run(ctx, m); err != nil {
		return err
	}
	// With a leader it serves in a moment; without one it may never.
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	if p := m.running(); p != nil {
		_ = p.Ready(ctx) // that it does not is for the drill to see
	}
	return nil
}

// joinTime is what a member with little to catch up takes to serve.
const joinTime = 2 * time.Second

// pause has a member stand still for a time that goes on after the action.
func (c *cluster) pause(m *member, by time.Duration) error {
	p := m.running()
	if p == nil {
		return errDown
	}
	if err := p.Pause(); err != nil {
		return fmt.Errorf("pausing member %q: %w", m.name, err)
	}
	c.resumes = append(c.resumes, time.AfterFunc(by, p.Resume))
	return nil
}

// link changes what passes between members.
func (c *cluster) link(a sim.Action) error {
	if a.Verb == sim.Heal {
		c.mesh.heal()
		c.watch.note(sim.EventLink, "healed")
		return nil
	}
	c.watch.note(sim.EventLink, a.String())
	for _, from := range a.Names() {
		if c.member(from) == nil {
			return unknown(from)
		}
		for _, to := range c.against(a) {
			c.change(a, from, to)
		}
	}
	return nil
}

// against are the members on the other side.
func (c *cluster) against(a sim.Action) []string {
	if len(a.Against) > 0 {
		return a.AgainstNames()
	}
	side := map[string]bool{}
	if a.Verb == sim.Partition || a.Verb == sim.OneWay {
		for _, name := range a.Names() {
			side[name] = true
		}
	}
	var others []string
	for _, m := range c.all() {
		if !side[m.name] {
			others = append(others, m.name)
		}
	}
	return others
}

func (c *cluster) change(a sim.Action, from, to string) {
	if from == to {
		return
	}
	there, back := c.mesh.path(from, to), c.mesh.path(to, from)
	cut := func(s *pathState) { s.cut = true }
	switch a.Verb {
	case sim.Partition, sim.Isolate:
		there.set(cut)
		back.set(cut)
	case sim.OneWay:
		there.set(cut)
	case sim.Delay:
		there.set(func(s *pathState) { s.delay = a.By.D() })
	case sim.Drop:
		there.set(func(s *pathState) { s.loss = a.Rate })
	}
}

// errNoQuota: filling etcd's default of 2 GiB is not a drill but a burden.
var errNoQuota = errors.New("a drill that fills the quota has to give one, of 128 MiB at most")
