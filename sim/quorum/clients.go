package quorum

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// What etcd's client and server say. Texts are those a client shows.
const (
	textDeadline  = "context deadline exceeded"
	textTimedOut  = "etcdserver: request timed out"
	textNoLeader  = "etcdserver: no leader"
	textNotLeader = "etcdserver: not leader"
	textNoSpace   = "etcdserver: mvcc: database space exceeded"
	textCompacted = "etcdserver: mvcc: required revision has been compacted"
	textLearner   = "etcdserver: rpc not supported for learner"
	textUnhealthy = "etcdserver: unhealthy cluster"
	textRefused   = "connection refused"
)

// errClient is an error as a client would see it.
type errClient string

func (e errClient) Error() string { return string(e) }

// clientTimeout is etcdctl's --command-timeout; readRetry is how often a server
// asks again for a read index (etcdserver/v3_server.go).
const (
	clientTimeout = 5 * time.Second
	readRetry     = 500 * time.Millisecond
	loadTimeout   = 2 * time.Second // of a client of the load, before it asks the next member: as in sim/members
	writeBytes    = 256
)

// client is one of those that make the load. It waits for an answer before it
// asks again, and moves on when there is none, as sim/members' do.
type client struct {
	home int  // the member it asks, counted on
	busy bool // waits for an answer
}

// request is a client's call on its way.
type request struct {
	id       uint64
	cmd      command
	read     bool
	at       *member
	began    time.Duration
	deadline time.Duration
	load     bool    // counted
	client   *client // of the load; nil: the drill's own
	judged   bool    // kept for porcupine
	done     bool
	err      error

	// Of a read.
	key       uint64
	confirmed uint64        // the read index; 0 until the leader confirmed it
	asked     time.Duration // last
	value     uint64
}

// submit sends r to a member.
func (c *Cluster) submit(m *member, r *request) {
	c.requests++
	r.id, r.at, r.began = c.requests, m, c.now
	r.cmd.id = r.id
	if r.load {
		c.tally.Sent++
	}
	if r.judged {
		c.ops.begin(c.now, r)
	}
	if !m.running() {
		c.fail(r, textRefused)
		return
	}
	c.pending = append(c.pending, r)
	c.open[r.id] = r
	if !m.serving {
		m.queue = append(m.queue, r)
		return
	}
	c.serve(m, r)
}

// announce has a member tell the cluster that it has started. etcd answers no
// client before that is applied, not even what needs no quorum: a member that
// is started where there is no leader does not serve (embed/serve.go waits for
// ReadyNotify, which etcdserver/server.go's publishV3 closes).
func (c *Cluster) announce(m *member) {
	if m.publish > 0 && c.now >= m.publish && m.leader != 0 {
		m.publish = c.now + c.requestTimeout() // and again
		c.propose(m, command{op: opPublish, arg: m.id, bytes: uint64(m.gen)})
	}
}

// serveAll begins to serve, with those who have waited for it.
func (c *Cluster) serveAll(m *member) {
	queue := m.queue
	m.publish, m.serving, m.queue = 0, true, nil
	for _, r := range queue {
		if !r.done {
			c.serve(m, r)
		}
	}
}

// serves waits until m answers clients.
func (c *Cluster) serves(ctx context.Context, m *member, timeout time.Duration) error {
	if m.running() && !m.serving {
		if err := c.until(ctx, c.now+timeout, func() bool { return m.serving || !m.running() }); err != nil {
			return err
		}
	}
	switch {
	case !m.running():
		return errClient(textRefused)
	case !m.serving:
		return errClient(textDeadline)
	}
	return nil
}

// serve is the server's part of a request up to the proposal.
func (c *Cluster) serve(m *member, r *request) {
	switch {
	case c.isLearner(m):
		c.fail(r, textLearner)
		return
	case r.cmd.op == opPut && m.state.noSpace:
		c.fail(r, textNoSpace)
		return
	case r.cmd.op == opPut && m.state.size+int64(r.cmd.bytes) >= m.quota:
		// storage/quota.go, Available; etcdserver/api/v3rpc/quota.go: raise the alarm, refuse the request.
		c.propose(m, command{op: opAlarm})
		c.fail(r, textNoSpace)
		return
	}
	if r.read {
		m.waiting = append(m.waiting, r)
		c.askRead(m, r)
	} else if m.leader == 0 {
		m.waiting = append(m.waiting, r) // raft would drop it: etcd's Propose waits for a leader
	} else {
		c.propose(m, r.cmd)
	}
}

// propose hands an entry to raft. A dropped one answers with a timeout.
func (c *Cluster) propose(m *member, cmd command) {
	_ = m.node.Propose(cmd.encode())
	c.dirty = append(c.dirty, m)
}

// flush proposes what waited for a leader.
func (c *Cluster) flush(m *member) {
	c.announce(m)
	kept := m.waiting[:0]
	for _, r := range m.waiting {
		switch {
		case r.done:
		case r.read:
			kept = append(kept, r)
			c.askRead(m, r)
		default:
			c.propose(m, r.cmd)
		}
	}
	m.waiting = kept
}

func (c *Cluster) askRead(m *member, r *request) {
	r.asked = c.now
	if m.leader == 0 {
		return
	}
	m.node.ReadIndex(binary.LittleEndian.AppendUint64(nil, r.id))
	c.dirty = append(c.dirty, m)
}

func (c *Cluster) readConfirmed(m *member, rs raft.ReadState) {
	r := c.open[binary.LittleEndian.Uint64(rs.RequestCtx)]
	if r == nil || r.done || r.at != m {
		return
	}
	r.confirmed = rs.Index
	c.readsApplied(m)
}

// readsApplied answers the reads whose index is applied.
func (c *Cluster) readsApplied(m *member) {
	kept := m.waiting[:0]
	for _, r := range m.waiting {
		switch {
		case r.done:
		case r.read && r.confirmed > 0 && r.confirmed <= m.state.applied:
			r.value = m.state.keys[r.key]
			c.finishRequest(r, nil)
		default:
			kept = append(kept, r)
		}
	}
	m.waiting = kept
}

// answered tells the client whose entry m has applied, if it is m's client.
func (c *Cluster) answered(m *member, cmd command, ok bool) {
	r := c.open[cmd.id]
	if cmd.id == 0 || r == nil || r.at != m || r.done {
		return
	}
	switch {
	case !ok && cmd.op == opCompact:
		c.fail(r, textCompacted)
		return
	case !ok:
		c.fail(r, textNoSpace)
		return
	}
	if cmd.op == opPut {
		c.acked.set(cmd.id)
		c.note(m, Event{Kind: Acked, Write: cmd.id})
	}
	c.finishRequest(r, nil)
}

func (c *Cluster) fail(r *request, text string) {
	if !r.done {
		c.finishRequest(r, errClient(text))
	}
}

func (c *Cluster) finishRequest(r *request, err error) {
	r.done, r.err = true, err
	delete(c.open, r.id)
	c.ops.end(c.now, r)
	if r.client != nil {
		r.client.busy = false
		if err != nil {
			r.client.home++
		}
	}
	if r.load {
		c.counted(r)
	}
}

// expire ends what took too long. There are no more requests under way than
// clients, and the drill's own.
func (c *Cluster) expire() {
	kept := c.pending[:0]
	for _, r := range c.pending {
		switch {
		case r.done:
		case c.now >= r.deadline:
			c.fail(r, textDeadline)
		default:
			kept = append(kept, r)
		}
	}
	clear(c.pending[len(kept):])
	c.pending = kept
}

// sendLoad is the next write of the load, or read, of the client whose turn it
// is.
func (c *Cluster) sendLoad(read bool) {
	rate := c.given.Load.Writes
	kind := eventSend
	if read {
		rate, kind = c.given.Load.Reads, eventRead
	}
	c.push(event{at: c.now + time.Second/time.Duration(rate), kind: kind})
	n := max(1, c.given.Load.Clients)
	first := 0
	if read {
		first = n
	}
	c.turn++
	cl := &c.clients[first+c.turn%n]
	if cl.busy {
		return // what a waiting client could not send is left out
	}
	m := c.endpoint(cl)
	if m == nil {
		c.tally.Sent, c.tally.Failed = c.tally.Sent+1, c.tally.Failed+1
		c.bucket().Failed++
		return
	}
	cl.busy = true
	r := &request{read: read, load: !read, judged: true, client: cl, deadline: c.now + loadTimeout, key: uint64(c.rng.IntN(registers))}
	if !read {
		r.cmd = command{op: opPut, arg: r.key, bytes: writeBytes}
	}
	c.submit(m, r)
}

// endpoint is the member that a client asks: a voter that serves; the next one
// after a failure.
func (c *Cluster) endpoint(cl *client) *member {
	for range c.members {
		m := c.members[cl.home%len(c.members)]
		if m.serving && !m.state.members[m.id].learner && m.paused <= c.now {
			return m
		}
		cl.home++
	}
	return nil
}

// counted is a write of the load that has its answer.
func (c *Cluster) counted(r *request) {
	if r.err != nil {
		c.tally.Failed++
		c.bucket().Failed++
		c.tally.Failures = sim.AddFailure(c.tally.Failures, sim.Failure{At: sim.Duration(c.now), Client: c.number(r.client), Member: r.at.name, Error: r.err.Error()})
		return
	}
	c.tally.Acknowledged++
	b := c.bucket()
	b.Acknowledged++
	b.Slowest = max(b.Slowest, sim.Duration(c.now-r.began))
	if c.lastAck > 0 {
		c.tally.Silences = sim.AddSilence(c.tally.Silences, sim.Gap{From: sim.Duration(c.lastAck), Until: sim.Duration(c.now)})
	}
	if c.lastAck > 0 && c.now-c.lastAck >= c.silence() {
		if len(c.tally.Gaps) < maxGaps {
			c.tally.Gaps = append(c.tally.Gaps, sim.Gap{From: sim.Duration(c.lastAck), Until: sim.Duration(c.now)})
		}
	}
	c.lastAck = c.now
}

// number is which of the clients one is, from 1; 0 for the drill's own.
func (c *Cluster) number(of *client) int {
	for i := range c.clients {
		if &c.clients[i] == of {
			return i + 1
		}
	}
	return 0
}

// silence is from when on a stretch without an acknowledged write is a gap:
// three heartbeats, and with a slow load three of its writes.
func (c *Cluster) silence() time.Duration {
	return 3 * max(c.given.Tick.D(), time.Second/time.Duration(max(1, c.given.Load.Writes)))
}

const maxGaps = 1000

func (c *Cluster) bucket() *sim.Bucket {
	second := int(c.now / time.Second)
	for len(c.tally.Buckets) <= second {
		c.tally.Buckets = append(c.tally.Buckets, sim.Bucket{})
	}
	return &c.tally.Buckets[second]
}

// lost counts the acknowledged writes that a state lacks, and names some.
func (c *Cluster) lost(state *machine) (n int, names []string) {
	for word, acked := range c.acked {
		missing := acked
		if word < len(state.writes) {
			missing &^= state.writes[word]
		}
		n += bits.OnesCount64(missing)
		for ; missing != 0 && len(names) < 20; missing &= missing - 1 {
			names = append(names, "write "+strconv.Itoa(word*64+bits.TrailingZeros64(missing)))
		}
	}
	return n, names
}

// answers says whether m could answer a linearizable read: it leads, and has
// applied an entry of its own term (raft.go, committedEntryInCurrentTerm). A
// leader that was just elected may not know yet what is committed.
func (c *Cluster) answers(m *member) bool {
	if m == nil {
		return false
	}
	term, err := m.disk.storage.Term(m.state.applied)
	return err == nil && term == m.term
}

// standing is the state that clients now find: of the running voter that has
// applied most, of the newest lineage that runs.
func (c *Cluster) standing() *machine {
	var best *member
	for _, m := range c.members {
		if !m.running() || m.state.members[m.id].learner {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(m.lineage, best.lineage), cmp.Compare(m.state.applied, best.state.applied)) > 0 {
			best = m
		}
	}
	if best == nil {
		return nil
	}
	return best.state
}

var errNobody = errors.New("no member runs")
