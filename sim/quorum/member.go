package quorum

import (
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// member is one etcd member: a disk, and while it runs a raft node over it.
type member struct {
	id      uint64 // raft's, and the place in Cluster.members plus one
	name    string
	cluster int // members of other clusters are strangers: "cluster ID mismatch"
	lineage int // histories that have parted: see invariants.go

	disk    *disk
	state   *machine
	node    *raft.RawNode // nil: down
	gen     uint32        // how often it was started
	ready   *raft.Ready   // on its way to the disk
	gone    bool          // removed, and told so
	refuses string        // why it does not start, where it does not

	role   raft.StateType
	term   uint64
	leader uint64

	sync    time.Duration // of its disk
	delay   time.Duration // more latency for what it sends
	drop    float64       // share of what it sends that is lost
	quota   int64
	paused  time.Duration // the process stands still until then
	stalled time.Duration // nothing is applied until then (defragmentation)
	backlog []*pb.Entry   // committed while stalled
	waiting []*request    // no leader yet, or not confirmed
	publish time.Duration // when it tells again that it has started; 0 is never
	serving bool          // answers clients: see announce
	queue   []*request    // came before that
}

func (m *member) running() bool { return m.node != nil }

// start boots the member from its disk. A kill has left the synced part.
func (c *Cluster) start(m *member) error {
	if m.running() {
		return nil
	}
	state, err := c.replay(m.disk, max(m.disk.backend, m.disk.hard.GetCommit()))
	if err != nil {
		return err
	}
	m.state = state
	if err := c.observe(m, Event{Kind: Restarted, Index: state.applied, Hash: state.digest()}); err != nil {
		return err
	}
	m.state.size = max(m.disk.size, state.used)
	if hard := m.disk.hard; hard.GetCommit() < state.applied { // the backend was ahead: etcd raises it, too
		m.disk.hard = newHard(hard.GetTerm(), hard.GetVote(), state.applied)
	}
	if err := m.disk.storage.SetHardState(m.disk.hard); err != nil {
		return err
	}
	given := c.given
	m.node, err = raft.NewRawNode(&raft.Config{
		ID: m.id, Storage: confStorage{m.disk.storage, state.confState()}, Applied: state.applied,
		ElectionTick: int(given.Election / given.Tick), HeartbeatTick: 1,
		// etcdserver/bootstrap.go, raftConfig.
		MaxSizePerMsg: 512 << 10, MaxInflightMsgs: 512, CheckQuorum: true, PreVote: given.PreVote,
		Logger: quietLogger{},
	})
	if err != nil {
		return err
	}
	m.gen++
	m.ready, m.backlog, m.paused, m.stalled, m.role, m.leader = nil, nil, 0, 0, raft.StateFollower, 0
	m.term = m.disk.hard.GetTerm()
	m.serving, m.publish = false, c.now+time.Millisecond
	c.tickAgain(m, time.Duration(c.rng.Int64N(int64(given.Tick))))
	c.push(event{at: c.now + backendInterval, kind: eventBackend, member: uint32(m.id - 1), gen: m.gen})
	c.adjustTicks(m)
	c.connections()
	c.event(sim.Event{Kind: sim.EventRole, Member: m.name, Role: c.roleOf(m), Term: m.term, Commit: m.disk.hard.GetCommit()})
	return nil
}

// adjustTicks is etcd's head start for a member that boots (etcdserver/raft.go):
// one on its own need not wait for a leader that it cannot have.
func (c *Cluster) adjustTicks(m *member) {
	election := int(c.given.Election / c.given.Tick)
	if len(m.state.members) == 1 {
		for range election - 1 {
			m.node.Tick()
		}
	}
}

// confStorage gives raft the membership of the state that was replayed: with
// etcd it comes from the membership store, not from the log's snapshot
// (bootstrap.go, buildConfStateFromV3store).
type confStorage struct {
	*raft.MemoryStorage
	conf *pb.ConfState
}

func (s confStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hard, _, err := s.MemoryStorage.InitialState()
	return hard, s.conf, err
}

// replay gives the state at an index of the log.
func (c *Cluster) replay(d *disk, to uint64) (*machine, error) {
	from := d.base
	if to < from.state.applied {
		from = d.floor
	}
	state := from.state.clone()
	to = min(to, d.last())
	entries, err := d.entries(state.applied+1, to)
	if err != nil {
		return nil, fmt.Errorf("replaying the log from %d to %d: %w", state.applied+1, to, err)
	}
	for _, e := range entries {
		if e.GetType() == pb.EntryConfChange {
			if _, err := state.configure(e); err != nil {
				return nil, err
			}
		} else if len(e.GetData()) > 0 {
			state.apply(decodeCommand(e.GetData()))
		}
		state.applied = e.GetIndex()
	}
	return state, nil
}

// kill ends the process. orderly is SIGTERM: everything reaches the disk.
func (c *Cluster) kill(m *member, orderly bool) {
	if !m.running() {
		return
	}
	if orderly {
		m.disk.synced, m.disk.backend = m.disk.hard, m.state.applied
	} else {
		c.hangUp(m)
	}
	m.disk.hard = m.disk.synced
	if c.broken.kept != nil && !orderly {
		m.disk.hard = c.broken.kept(m.disk.synced)
		m.disk.synced = m.disk.hard
	}
	m.node, m.ready, m.backlog = nil, nil, nil
	for _, r := range m.waiting {
		c.fail(r, "etcdserver: server stopped")
	}
	for _, r := range m.queue {
		c.fail(r, textRefused)
	}
	m.waiting, m.queue, m.serving = nil, nil, false
	c.connections()
	c.event(sim.Event{Kind: sim.EventRole, Member: m.name, Role: c.roleOf(m), Term: m.term, Commit: m.disk.hard.GetCommit()})
}

// backendInterval is how often etcd's backend commits (backend.go,
// defaultBatchInterval).
const backendInterval = 100 * time.Millisecond

// work takes what raft has ready. What has to be synced is on the disk only
// after a while; a leader's messages leave at once (raft thesis, 10.2.1), a
// follower's after the sync.
func (c *Cluster) work(m *member) error {
	for m.running() && m.ready == nil && m.node.HasReady() {
		rd := m.node.Ready()
		c.soften(m, &rd)
		if rd.MustSync || !raft.IsEmptySnap(rd.Snapshot) {
			m.ready = &rd
			if m.role == raft.StateLeader {
				c.send(m, rd.Messages)
			}
			c.push(event{at: c.now + m.sync, kind: eventSynced, member: uint32(m.id - 1), gen: m.gen})
			return nil
		}
		if !raft.IsEmptyHardState(rd.HardState) {
			m.disk.hard = rd.HardState
		}
		c.send(m, rd.Messages)
		if err := c.finish(m, &rd); err != nil {
			return err
		}
	}
	return nil
}

// synced is the end of a sync.
func (c *Cluster) synced(m *member) error {
	rd := m.ready
	m.ready = nil
	wasLeader := m.role == raft.StateLeader
	if !raft.IsEmptyHardState(rd.HardState) {
		m.disk.hard = rd.HardState
	}
	m.disk.synced = m.disk.hard
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := c.install(m, rd.Snapshot); err != nil {
			return err
		}
	}
	if err := m.disk.append(rd.Entries); err != nil {
		return err
	}
	if err := m.disk.storage.SetHardState(m.disk.hard); err != nil {
		return err
	}
	if err := c.checkLog(m, rd.Entries); err != nil {
		return err
	}
	if !wasLeader {
		c.send(m, rd.Messages)
	}
	if err := c.finish(m, rd); err != nil {
		return err
	}
	return c.work(m)
}

// soften looks at who leads now.
func (c *Cluster) soften(m *member, rd *raft.Ready) {
	if rd.SoftState != nil {
		m.leader = rd.SoftState.Lead
		m.role = rd.SoftState.RaftState
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		m.term = rd.HardState.GetTerm()
	}
	if rd.SoftState == nil {
		return
	}
	c.event(sim.Event{Kind: sim.EventRole, Member: m.name, Role: c.roleOf(m), Term: m.term, Commit: m.disk.hard.GetCommit()})
	if m.leader != 0 {
		c.flush(m)
	}
}

// finish applies what is committed and tells raft so.
func (c *Cluster) finish(m *member, rd *raft.Ready) error {
	if err := c.checkReady(m, rd); err != nil {
		return err
	}
	for _, rs := range rd.ReadStates {
		c.readConfirmed(m, rs)
	}
	if m.stalled > c.now {
		m.backlog = append(m.backlog, rd.CommittedEntries...)
	} else if err := c.applyAll(m, rd.CommittedEntries); err != nil {
		return err
	}
	if m.running() {
		m.node.Advance(*rd)
	}
	return nil
}

func (c *Cluster) applyAll(m *member, entries []*pb.Entry) error {
	for _, e := range entries {
		if !m.running() {
			return nil
		}
		if err := c.apply(m, e); err != nil {
			return err
		}
	}
	c.readsApplied(m)
	if m.running() && m.state.applied >= m.disk.base.state.applied+snapshotEvery && m.state.applied <= m.disk.last() {
		return c.snapshot(m)
	}
	return nil
}

func (c *Cluster) apply(m *member, e *pb.Entry) error {
	m.state.applied = e.GetIndex()
	switch {
	case e.GetType() == pb.EntryConfChange:
		if err := c.applyConfChange(m, e); err != nil {
			return err
		}
		return c.checkApply(m)
	case len(e.GetData()) == 0: // a new leader's first entry
		if err := c.checkApply(m); err != nil {
			return err
		}
		return c.checkAcked(m, e)
	}
	cmd := decodeCommand(e.GetData())
	had := m.state.noSpace
	ok := m.state.apply(cmd)
	if err := c.checkApply(m); err != nil {
		return err
	}
	m.disk.size = m.state.size
	if cmd.op == opPublish && cmd.arg == m.id && cmd.bytes == uint64(m.gen) {
		c.serveAll(m)
	}
	if m.state.noSpace != had && m.role == raft.StateLeader {
		text := "NOSPACE raised"
		if had {
			text = "NOSPACE disarmed"
		}
		c.event(sim.Event{Kind: sim.EventAlarm, Member: m.name, Text: text})
	}
	c.answered(m, cmd, ok)
	return nil
}

// snapshot is etcd's, every 10,000 entries.
func (c *Cluster) snapshot(m *member) error {
	chain, _ := m.disk.at(m.state.applied)
	term, err := m.disk.storage.Term(m.state.applied)
	if err != nil {
		return err
	}
	return m.disk.compact(c.hold(snapshotState{state: m.state.clone(), chain: chain, term: term}))
}

// hold keeps a state for snapshots on their way. 64 are more than there are
// members.
func (c *Cluster) hold(s snapshotState) snapshotState {
	c.handles++
	s.handle = c.handles
	c.states[s.handle] = s
	delete(c.states, s.handle-64)
	return s
}

// quietLogger keeps raft's log lines, and lets its panics be told from others.
type quietLogger struct{}

// raftPanic is what raft says when it cannot go on.
type raftPanic string

func (quietLogger) Debug(...any)            {}
func (quietLogger) Debugf(string, ...any)   {}
func (quietLogger) Error(...any)            {}
func (quietLogger) Errorf(string, ...any)   {}
func (quietLogger) Info(...any)             {}
func (quietLogger) Infof(string, ...any)    {}
func (quietLogger) Warning(...any)          {}
func (quietLogger) Warningf(string, ...any) {}

func (quietLogger) Fatal(v ...any)                 { panic(raftPanic(fmt.Sprint(v...))) }
func (quietLogger) Fatalf(format string, v ...any) { panic(raftPanic(fmt.Sprintf(format, v...))) }
func (quietLogger) Panic(v ...any)                 { panic(raftPanic(fmt.Sprint(v...))) }
func (quietLogger) Panicf(format string, v ...any) { panic(raftPanic(fmt.Sprintf(format, v...))) }
