package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

var errNoState = errors.New("a snapshot came without its state")

// Do implements sim.Cluster.
func (c *Cluster) Do(ctx context.Context, a sim.Action) (err error) {
	defer c.guard(&err)
	c.event(sim.Event{Kind: sim.EventAction, Text: a.String()})
	c.digest = mix(c.digest, hashText(a.String()))
	if a.Verb == sim.AddMember || a.Verb == sim.AddLearner {
		for _, name := range a.Names() {
			if err := c.add(ctx, name, a.Verb == sim.AddLearner); err != nil {
				return err
			}
		}
		return nil
	}
	targets, err := c.named(a.Names())
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return c.doAll(ctx, a)
	}
	against, err := c.named(a.AgainstNames())
	if err != nil {
		return err
	}
	if c.cuts(a.Verb, targets, against) {
		return nil
	}
	for _, m := range targets {
		if err := c.doOne(ctx, a, m); err != nil {
			return err
		}
	}
	return c.settle()
}

func (c *Cluster) named(names []string) ([]*member, error) {
	var out []*member
	for _, name := range names {
		m := c.byName(name)
		if m == nil {
			return nil, &sim.FatalError{Err: fmt.Errorf("there is no member %q", name)}
		}
		out = append(out, m)
	}
	return out, nil
}

func (c *Cluster) byName(name string) *member {
	for _, m := range c.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// doAll are the actions that name nobody.
func (c *Cluster) doAll(ctx context.Context, a sim.Action) error {
	switch a.Verb {
	case sim.Heal:
		for i := range c.links {
			for j := range c.links[i] {
				c.links[i][j].cut = false
			}
		}
		for _, m := range c.members {
			m.delay, m.drop = 0, 0
		}
		c.trap = trap{}
		c.connections()
		c.event(sim.Event{Kind: sim.EventLink, Text: "healed"})
		return nil
	case sim.Wait:
		return c.until(ctx, c.now+a.By.D(), func() bool { return false })
	case sim.Fill:
		return c.fill(ctx, a.Bytes)
	case sim.Compact:
		return c.ask(ctx, command{op: opCompact})
	case sim.Disarm:
		return c.ask(ctx, command{op: opDisarm})
	}
	return fmt.Errorf("%s: %w", a.Verb, sim.ErrUnsupported)
}

// doOne are the actions on one member after the other.
func (c *Cluster) doOne(ctx context.Context, a sim.Action, m *member) error {
	bump := a.BumpRevision == nil || *a.BumpRevision
	switch a.Verb {
	case sim.Kill:
		alive := m.running()
		c.kill(m, false)
		if alive && c.broken.forget > 0 {
			return c.loseTail(m, c.broken.forget)
		}
	case sim.Stop:
		return c.stop(ctx, m)
	case sim.Start:
		if m.gone {
			return errClient("the member has been permanently removed from the cluster")
		}
		if m.refuses != "" {
			return errClient(m.refuses)
		}
		return c.start(m)
	case sim.Delay:
		m.delay = a.By.D()
	case sim.Drop:
		m.drop = a.Rate
	case sim.SlowDisk:
		m.sync = a.By.D()
	case sim.DiskLoss:
		return c.loseDisk(m)
	case sim.LoseWAL:
		c.kill(m, false)
		return c.loseTail(m, a.Entries)
	case sim.Promote:
		return c.promote(ctx, m)
	case sim.Remove:
		return c.remove(ctx, m)
	case sim.MoveLeader:
		from, err := c.answering(ctx)
		if err != nil {
			return err
		}
		return c.moveLeader(ctx, from, m)
	case sim.ForceNewCluster:
		return c.forceNewCluster(m)
	case sim.Rebuild:
		return c.rebuild(m, bump)
	case sim.Restore:
		return c.restore(m, bump)
	case sim.Save:
		if err := c.serves(ctx, m, clientTimeout); err != nil {
			return err
		}
		c.saved = m.state.clone()
	case sim.Defrag:
		return c.defrag(ctx, m, a.By.D())
	case sim.RaiseQuota:
		m.quota = a.Bytes
		c.kill(m, true)
		return c.start(m)
	case sim.Ambush:
		c.lay(m)
	case sim.ClockPause:
		m.paused = c.now + a.By.D()
	default:
		return fmt.Errorf("%s: %w", a.Verb, sim.ErrUnsupported)
	}
	return nil
}

// cuts carries out what changes links, and says whether a verb does.
func (c *Cluster) cuts(verb sim.Verb, targets, against []*member) bool {
	if verb != sim.Partition && verb != sim.OneWay && verb != sim.Isolate {
		return false
	}
	in := func(m *member, list []*member) bool {
		for _, o := range list {
			if o == m {
				return true
			}
		}
		return false
	}
	other := func(m *member) bool {
		if len(against) > 0 {
			return in(m, against)
		}
		return !in(m, targets)
	}
	for _, a := range targets {
		for _, b := range c.members {
			if a == b {
				continue
			}
			switch verb {
			case sim.Partition:
				if other(b) {
					c.links[a.id-1][b.id-1].cut, c.links[b.id-1][a.id-1].cut = true, true
				}
			case sim.OneWay:
				if other(b) {
					c.links[a.id-1][b.id-1].cut = true
				}
			case sim.Isolate:
				c.links[a.id-1][b.id-1].cut, c.links[b.id-1][a.id-1].cut = true, true
			}
		}
	}
	c.connections()
	c.event(sim.Event{Kind: sim.EventLink, Text: string(verb) + " " + strings.Join(memberNames(targets), ", ")})
	return true
}

func memberNames(members []*member) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = m.name
	}
	return out
}

// stop is SIGTERM: a leader hands over first (etcdserver/server.go,
// TryTransferLeadershipOnShutdown), to whom it has been connected to longest.
func (c *Cluster) stop(ctx context.Context, m *member) error {
	if m.role == raft.StateLeader {
		var heir *member
		oldest := time.Duration(1<<63 - 1)
		for _, id := range m.state.voters() {
			if id == m.id {
				continue
			}
			if since, ok := c.connected(m, c.members[id-1]); ok && since < oldest {
				heir, oldest = c.members[id-1], since
			}
		}
		if heir != nil {
			// A transfer that fails does not keep the process from ending.
			if err := c.moveLeader(ctx, m, heir); errors.Is(err, sim.ErrInvariant) || ctx.Err() != nil {
				return err
			}
		}
	}
	c.kill(m, true)
	return nil
}

// loseDisk kills a member and empties its disk. Started again it is an empty
// member with an id that the others know: etcd refuses to bootstrap that
// ("member has already been bootstrapped"), so it has to be removed first.
func (c *Cluster) loseDisk(m *member) error {
	c.kill(m, false)
	empty := newMachine()
	d, err := newDisk(snapshotState{state: empty})
	m.disk, m.state, m.refuses = d, empty, "member "+m.name+" has already been bootstrapped"
	if err != nil {
		return err
	}
	return c.resumed(m)
}

// loseTail takes entries from the end of a log that were said to be synced.
func (c *Cluster) loseTail(m *member, entries int) error {
	if err := m.disk.truncate(entries); err != nil {
		return err
	}
	last := m.disk.last()
	c.note(m, Event{Kind: Truncated, Index: last})
	m.disk.hard = newHard(m.disk.synced.GetTerm(), m.disk.synced.GetVote(), min(m.disk.synced.GetCommit(), last))
	m.disk.synced, m.disk.backend = m.disk.hard, min(m.disk.backend, last)
	return nil
}

// defrag holds a member's store for a while: it neither applies nor reads, and
// raft goes on (storage/backend/backend.go, defrag takes every lock).
func (c *Cluster) defrag(ctx context.Context, m *member, takes time.Duration) error {
	if err := c.serves(ctx, m, clientTimeout); err != nil {
		return err
	}
	if takes == 0 {
		takes = time.Second
	}
	m.stalled = c.now + takes
	gen := m.gen
	c.push(event{at: m.stalled, kind: eventResume, member: uint32(m.id - 1), gen: gen})
	if err := c.until(ctx, m.stalled, func() bool { return m.gen != gen }); err != nil {
		return err
	}
	if m.gen == gen && m.running() {
		m.state.size = m.state.used
		// The copy is of a batch that is committed (storage/backend/backend.go, defrag).
		m.disk.size, m.disk.backend = m.state.size, m.state.applied
	}
	return nil
}

// fillBytes is the size of a value that fills a database.
const fillBytes = 512 << 10

// fill writes until the quota's alarm stands, or most bytes are written: 0 is
// no bound.
func (c *Cluster) fill(ctx context.Context, most int64) error {
	for written := int64(0); c.now < c.stopAt; written += fillBytes {
		if most > 0 && written >= most {
			return nil
		}
		bytes := uint64(fillBytes)
		if m := c.server(); m != nil && m.state.size+writeBytes < m.quota {
			bytes = min(bytes, uint64(m.quota-m.state.size)-1) // to the last byte
		}
		err := c.ask(ctx, command{op: opPut, arg: probeKey, bytes: bytes})
		if err != nil && err.Error() == textNoSpace {
			return c.until(ctx, c.now+time.Second, func() bool { return c.standing() != nil && c.standing().noSpace })
		}
		if err != nil {
			return err
		}
	}
	return errClient(textDeadline)
}

// ask sends a command through a member and waits for its answer.
func (c *Cluster) ask(ctx context.Context, cmd command) error {
	m := c.server()
	if m == nil {
		return errClient(textRefused)
	}
	r := &request{cmd: cmd, deadline: c.now + clientTimeout}
	return c.await(ctx, m, r)
}

// pass lets time go by and then gives err.
func (c *Cluster) pass(ctx context.Context, err error, d time.Duration) error {
	if stopped := c.until(ctx, c.now+d, func() bool { return false }); stopped != nil {
		return stopped
	}
	return err
}
