package quorum

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"hash/fnv"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// trackerProgress is what a leader knows of a follower.
type trackerProgress = tracker.Progress

// firstIndex and firstTerm are where every cluster begins: raft wants a
// snapshot above index 1 to start from.
const (
	firstIndex = 2
	firstTerm  = 1
)

// defaultQuota is etcd's (storage/quota.go, DefaultQuotaBytes).
const defaultQuota = 2 << 30

// Engine is the virtual engine.
type Engine struct {
	// OwnProcess says that this process does nothing but run one cluster at a
	// time. Start then replaces crypto/rand.Reader, from which raft draws its
	// election timeouts, by a stream that the seed decides: runs with the same
	// seed are equal to the byte. Never set it where keys are made.
	OwnProcess bool

	broken broken
}

var _ sim.Engine = Engine{}

// broken are rules that tests break to see the invariants catch it.
type broken struct {
	forge  func(c *Cluster, from *member, msg *pb.Message) // before a message is sent
	forget int                                             // newest entries that a kill takes off a disk
	kept   func(synced *pb.HardState) *pb.HardState        // what a kill leaves of vote and term
}

// Name implements sim.Engine.
func (Engine) Name() sim.EngineName { return sim.Virtual }

// Cluster is a cluster in virtual time. It implements sim.Cluster.
type Cluster struct {
	given   sim.Given
	rng     *mathrand.Rand
	now     time.Duration
	stopAt  time.Duration // a bound for actions that loop
	queue   queue
	seq     uint64
	members []*member
	dirty   []*member // have something to do for work
	leaving []*member // applied their own removal
	broken  broken
	trap    trap

	links    [maxMembers][maxMembers]link
	sessions [maxMembers][maxMembers]session
	clusters int

	checker  *Checker
	lineages int
	checked  []sim.Invariant
	states   map[uint64]snapshotState
	handles  uint64
	saved    *machine
	seen     uint64 // newest revision before the last restore

	requests uint64
	open     map[uint64]*request
	pending  []*request
	clients  []client // those that write, then those that read
	turn     int
	acked    bitset
	tally    sim.Tally
	lastAck  time.Duration
	ops      *operations
	loaded   bool

	events []sim.Event
	digest uint64
	count  uint64 // of events
}

var _ sim.Cluster = (*Cluster)(nil)

// Start implements sim.Engine.
func (e Engine) Start(_ context.Context, given sim.Given, seed uint64) (sim.Cluster, error) {
	return e.start(given, seed)
}

func (e Engine) start(given sim.Given, seed uint64) (*Cluster, error) {
	if e.OwnProcess {
		rand.Reader = stream(seed)
	}
	c := &Cluster{
		given: given, rng: mathrand.New(mathrand.NewPCG(seed, 0x6c696665626f6174)), broken: e.broken, stopAt: 24 * time.Hour,
		states: map[uint64]snapshotState{}, open: map[uint64]*request{}, clients: make([]client, 2*max(1, given.Load.Clients)),
		checked: slices.Clone(given.Always), checker: NewChecker(given.Always), digest: mix(0, seed),
	}
	c.ops = newOperations(slices.Contains(given.Always, sim.Linearizable))
	base := newMachine()
	base.applied = firstIndex
	for i := range given.Members + given.Learners {
		base.members[uint64(i+1)] = listed{started: true, learner: i >= given.Members}
	}
	first := c.hold(snapshotState{state: base, term: firstTerm})
	for i := range given.Members + given.Learners {
		d, err := newDisk(first)
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, &member{
			id: uint64(i + 1), name: "m" + strconv.Itoa(i+1), disk: d, state: base.clone(), sync: given.Sync.D(), quota: c.quota(),
		})
	}
	for i := range c.clients {
		c.clients[i].home = i
	}
	for _, m := range c.members {
		if err := c.resumed(m); err != nil {
			return nil, err
		}
		if err := c.start(m); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Cluster) quota() int64 {
	if c.given.Quota > 0 {
		return c.given.Quota
	}
	return defaultQuota
}

// stream is an endless sequence of bytes that seed decides.
func stream(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[8:], "lifeboat election seeds")
	return mathrand.NewChaCha8(key)
}

func (c *Cluster) push(e event) {
	c.seq++
	e.seq = c.seq
	c.queue.push(e)
}

func (c *Cluster) tickAgain(m *member, after time.Duration) {
	c.push(event{at: c.now + after, kind: eventTick, member: uint32(m.id - 1), gen: m.gen})
}

// until runs events up to a time, or until enough says so.
func (c *Cluster) until(ctx context.Context, end time.Duration, enough func() bool) error {
	if err := c.settle(); err != nil {
		return err
	}
	for n := 0; !enough(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(c.queue.heap) == 0 || c.queue.heap[0].at > end {
			c.now = max(c.now, end)
			c.expire()
			return nil
		}
		e := c.queue.pop()
		c.now = e.at
		c.count++
		c.fold(&e)
		if err := c.handle(&e); err != nil {
			return err
		}
		if err := c.settle(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) handle(e *event) error {
	switch e.kind {
	case eventSend:
		c.sendLoad(false)
		return nil
	case eventRead:
		c.sendLoad(true)
		return nil
	}
	m := c.members[e.member]
	switch e.kind {
	case eventMessage, eventUnread:
		return c.deliver(m, e.msg)
	case eventLost:
		return nil
	}
	if e.gen != m.gen || !m.running() {
		return nil
	}
	if m.paused > c.now && e.kind != eventBackend {
		again := *e
		again.at = m.paused
		c.push(again)
		return nil
	}
	switch e.kind {
	case eventTick:
		return c.tick(m)
	case eventSynced:
		return c.synced(m)
	case eventBackend:
		if m.stalled <= c.now {
			m.disk.backend = m.state.applied
		}
		c.push(event{at: c.now + backendInterval, kind: eventBackend, member: e.member, gen: m.gen})
	case eventResume:
		backlog := m.backlog
		m.backlog = nil
		return c.applyAll(m, backlog)
	}
	return nil
}

func (c *Cluster) tick(m *member) error {
	c.tickAgain(m, c.given.Tick.D())
	m.node.Tick()
	if m.id == 1 || len(c.pending) > 0 {
		c.expire()
	}
	c.announce(m)
	for _, r := range m.waiting {
		if r.read && !r.done && r.confirmed == 0 && c.now-r.asked >= readRetry {
			c.askRead(m, r)
		}
	}
	return c.work(m)
}

// settle lets every member that was given something handle it.
func (c *Cluster) settle() error {
	for len(c.dirty) > 0 {
		m := c.dirty[len(c.dirty)-1]
		c.dirty = c.dirty[:len(c.dirty)-1]
		if err := c.work(m); err != nil {
			return err
		}
	}
	for _, m := range c.leaving {
		c.kill(m, true)
	}
	c.leaving = c.leaving[:0]
	if !c.loaded && c.leader() != nil {
		c.loaded = true
		if c.given.Load.Writes > 0 {
			c.push(event{at: c.now, kind: eventSend})
		}
		if c.given.Load.Reads > 0 {
			c.push(event{at: c.now, kind: eventRead})
		}
	}
	return nil
}

// leader is the leader of the newest lineage that runs, and in it of the highest
// term; nil if nobody leads there. A restored cluster begins with a low term: old
// members that come back would outrank it.
func (c *Cluster) leader() *member {
	var best *member
	newest := 0
	for _, m := range c.members {
		if !m.running() || m.lineage < newest {
			continue
		}
		if m.lineage > newest {
			newest, best = m.lineage, nil
		}
		if m.role == raft.StateLeader && (best == nil || m.term > best.term) {
			best = m
		}
	}
	return best
}

func (c *Cluster) snapshotOf(snap *pb.Snapshot) (snapshotState, bool) {
	if len(snap.GetData()) != 8 {
		return snapshotState{}, false
	}
	s, ok := c.states[binary.LittleEndian.Uint64(snap.GetData())]
	return s, ok
}

func newHard(term, vote, commit uint64) *pb.HardState {
	return &pb.HardState{Term: new(term), Vote: new(vote), Commit: new(commit)}
}

func hashText(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}
