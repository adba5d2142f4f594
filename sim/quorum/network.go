package quorum

import (
	"cmp"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// maxMembers bounds the members that a drill ever names.
const maxMembers = 32

// link is one direction between two members.
type link struct {
	cut     bool
	arrival time.Duration // of the newest message: streams keep their order
}

// session is how long two members have been connected, both ways.
type session struct {
	since time.Duration // 0: not connected
	cut   time.Duration // when the link was cut; a peer notices after readTimeout
}

// readTimeout is when a peer takes a silent connection for dead (etcd
// rafthttp/transport.go, ConnReadTimeout).
const readTimeout = 5 * time.Second

// send hands messages to the network.
func (c *Cluster) send(m *member, messages []*pb.Message) {
	for _, msg := range messages {
		to := msg.GetTo()
		if to == 0 || to > uint64(len(c.members)) || to == m.id {
			continue
		}
		if msg.GetType() == pb.MsgSnap {
			c.current(m, msg)
		}
		if c.broken.forge != nil {
			c.broken.forge(c, m, msg)
		}
		c.post(m, msg)
	}
}

// current makes a snapshot message carry what the sender has applied by now, as
// etcd does (snapshot_merge.go, createMergedSnapshotMessage): the one that raft
// holds may be older than the receiver's membership.
func (c *Cluster) current(m *member, msg *pb.Message) {
	chain, ok := m.disk.at(m.state.applied)
	term, err := m.disk.storage.Term(m.state.applied)
	if !ok || err != nil {
		return // raft's own is good as well
	}
	msg.Snapshot = c.hold(snapshotState{state: m.state.clone(), chain: chain, term: term}).message()
}

func (c *Cluster) post(m *member, msg *pb.Message) {
	l := &c.links[m.id-1][msg.GetTo()-1]
	if l.cut || (m.drop > 0 && c.rng.Float64() < m.drop) {
		if msg.GetType() == pb.MsgSnap && m.running() {
			c.lostSnapshot(m, msg.GetTo())
		}
		return
	}
	at := c.now + c.given.Latency.D() + m.delay
	if c.given.Spread > 0 {
		at += time.Duration(c.rng.Int64N(int64(c.given.Spread)))
	}
	at = max(at, l.arrival)
	l.arrival = at
	c.push(event{at: at, kind: eventMessage, member: uint32(msg.GetTo() - 1), msg: msg})
}

// deliver is a message's arrival. rafthttp refuses strangers, and tells a
// removed member that it is one (rafthttp/http.go: 410 Gone), which ends it.
func (c *Cluster) deliver(to *member, msg *pb.Message) error {
	from := c.members[msg.GetFrom()-1]
	if !to.running() || to.cluster != from.cluster || c.links[from.id-1][to.id-1].cut {
		if msg.GetType() == pb.MsgSnap && from.running() {
			c.lostSnapshot(from, to.id)
		}
		return nil
	}
	if to.state.removed[from.id] {
		if from.running() && !c.links[to.id-1][from.id-1].cut {
			c.event(sim.Event{Kind: sim.EventAction, Member: from.name, Text: "the member has been permanently removed from the cluster"})
			c.kill(from, true)
			from.gone = true
		}
		return nil
	}
	if to.paused > c.now {
		c.push(event{at: to.paused, kind: eventUnread, member: uint32(to.id - 1), msg: msg})
		return nil
	}
	// An error is a message that came too late for what this member is now.
	_ = to.node.Step(msg)
	if err := c.work(to); err != nil {
		return err
	}
	return c.spring(from, to, msg)
}

// hangUp decides what still arrives of the messages that a killed member has
// sent: of each stream a part from its beginning, which may be nothing or all of
// it. A kernel's buffers outlive a process that dies, and not a machine that does.
// A write can so be acknowledged by a leader and a follower that are then dead,
// while the others have not heard of it, or not that it is committed.
func (c *Cluster) hangUp(m *member) {
	var streams [maxMembers][]*event
	for i := range c.queue.heap {
		e := &c.queue.heap[i]
		if e.kind == eventMessage && e.msg.GetFrom() == m.id {
			streams[e.member] = append(streams[e.member], e)
		}
	}
	for _, sent := range streams {
		if len(sent) == 0 {
			continue
		}
		slices.SortFunc(sent, func(a, b *event) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
		for _, e := range sent[c.rng.IntN(len(sent)+1):] {
			e.kind = eventLost
		}
	}
}

// connected says since when a is connected to b, as a's transport sees it
// (rafthttp, ActiveSince). ok is false when it is not.
func (c *Cluster) connected(a, b *member) (since time.Duration, ok bool) {
	s := c.sessions[a.id-1][b.id-1]
	if s.since == 0 || (s.cut > 0 && c.now >= s.cut+readTimeout) {
		return 0, false
	}
	return s.since, true
}

// reaches says whether messages pass both ways now.
func (c *Cluster) reaches(a, b *member) bool {
	return a.running() && b.running() && a.cluster == b.cluster &&
		!c.links[a.id-1][b.id-1].cut && !c.links[b.id-1][a.id-1].cut
}

// connections brings sessions up to date after members or links changed.
func (c *Cluster) connections() {
	for _, a := range c.members {
		for _, b := range c.members {
			if a == b {
				continue
			}
			s := &c.sessions[a.id-1][b.id-1]
			switch {
			case !a.running() || !b.running() || a.cluster != b.cluster:
				*s = session{}
			case !c.reaches(a, b):
				if s.since > 0 && s.cut == 0 {
					s.cut = c.now
				}
			case s.since == 0 || (s.cut > 0 && c.now >= s.cut+readTimeout):
				*s = session{since: max(c.now, 1)}
			default:
				s.cut = 0
			}
		}
	}
}
