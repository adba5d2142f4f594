package quorum

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// etcd's numbers: etcdserver/server.go (HealthInterval, readyPercentThreshold)
// and membership/cluster.go (DefaultMaxLearners).
const (
	healthInterval = 5 * time.Second
	readyPercent   = 0.9
	maxLearners    = 1
)

// Texts of refused member changes.
const (
	textNotStarted  = "etcdserver: re-configuration failed due to not enough started members"
	textNotReady    = "etcdserver: can only promote a learner member which is in sync with leader"
	textTooMany     = "etcdserver: too many learner members in cluster"
	textNotFound    = "etcdserver: member not found"
	textNotLearner  = "etcdserver: can only promote a learner member"
	textBadTransfer = "etcdserver: bad leader transferee"
)

// configure applies a member change to the membership store; the change raft
// has to be told is nil when the store refuses it
// (membership/cluster.go, ValidateConfigurationChange).
func (m *machine) configure(e *pb.Entry) (*pb.ConfChange, error) {
	cc := &pb.ConfChange{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return nil, err
	}
	id := cc.GetNodeId()
	known, exists := m.members[id]
	switch cc.GetType() {
	case pb.ConfChangeRemoveNode:
		if !exists {
			return nil, nil
		}
		delete(m.members, id)
		m.removed[id] = true
	case pb.ConfChangeAddLearnerNode:
		if exists || m.removed[id] || m.learners() >= maxLearners {
			return nil, nil
		}
		m.members[id] = listed{learner: true}
	default:
		if m.removed[id] || (exists && !known.learner) {
			return nil, nil
		}
		m.members[id] = listed{started: known.started}
	}
	return cc, nil
}

func (m *machine) learners() int {
	n := 0
	for _, l := range m.members {
		if l.learner {
			n++
		}
	}
	return n
}

func (c *Cluster) applyConfChange(m *member, e *pb.Entry) error {
	cc, err := m.state.configure(e)
	if err != nil {
		return err
	}
	if cc == nil { // refused: raft is told a change of nobody (server.go, applyConfChange)
		cc = &pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(raft.None)}
		m.node.ApplyConfChange(cc)
		c.changed(m, e, false)
		return nil
	}
	m.node.ApplyConfChange(cc)
	c.changed(m, e, true)
	if cc.GetType() == pb.ConfChangeRemoveNode && cc.GetNodeId() == m.id {
		m.gone = true
		c.leaving = append(c.leaving, m) // after what it has to send
	}
	return nil
}

// changed answers who asked for the change.
func (c *Cluster) changed(m *member, e *pb.Entry, ok bool) {
	cc := &pb.ConfChange{}
	if proto.Unmarshal(e.GetData(), cc) != nil || len(cc.GetContext()) != 8 {
		return
	}
	r := c.open[binary.LittleEndian.Uint64(cc.GetContext())]
	if r == nil || r.at != m || r.done {
		return
	}
	if !ok {
		c.fail(r, textTooMany)
		return
	}
	c.finishRequest(r, nil)
}

// reconfigure proposes a member change through m and waits for it.
func (c *Cluster) reconfigure(ctx context.Context, m *member, kind pb.ConfChangeType, id uint64) error {
	r := &request{deadline: c.now + clientTimeout}
	c.requests++
	r.id, r.at, r.began = c.requests, m, c.now
	c.open[r.id] = r
	cc := &pb.ConfChange{Type: kind.Enum(), NodeId: new(id), Context: binary.LittleEndian.AppendUint64(nil, r.id)}
	if m.leader != 0 {
		_ = m.node.ProposeConfChange(cc)
		if err := c.work(m); err != nil {
			return err
		}
	}
	if err := c.until(ctx, r.deadline, func() bool { return r.done }); err != nil {
		return err
	}
	if !r.done {
		c.fail(r, textDeadline)
	}
	return r.err
}

// server is the member that a member change is sent to, of the newest lineage:
// the leader of the highest term, else a voter that serves, else one that runs.
func (c *Cluster) server() *member {
	reign := func(m *member) uint64 {
		if m.role == raft.StateLeader {
			return m.term
		}
		return 0
	}
	serving := func(m *member) int {
		if m.serving {
			return 1
		}
		return 0
	}
	var best *member
	for _, m := range c.members {
		if !m.running() || m.gone || m.state.members[m.id].learner || m.paused > c.now {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(m.lineage, best.lineage), cmp.Compare(reign(m), reign(best)), cmp.Compare(serving(m), serving(best))) > 0 {
			best = m
		}
	}
	return best
}

// answering is server once it answers.
func (c *Cluster) answering(ctx context.Context) (*member, error) {
	m := c.server()
	if m == nil {
		return nil, errClient(textRefused)
	}
	return m, c.serves(ctx, m, clientTimeout)
}

// active counts the voters that m has been connected to for the health
// interval, itself included (etcdserver/util.go, numConnectedSince).
func (c *Cluster) active(m *member) int {
	n := 0
	for _, id := range m.state.voters() {
		if id == m.id {
			n++
		} else if since, ok := c.connected(m, c.members[id-1]); ok && since < c.now-healthInterval {
			n++
		}
	}
	return n
}

// startedVoters counts voters that have told the cluster their name, without
// the one given.
func (m *machine) startedVoters(without uint64) (started, all int) {
	for id, l := range m.members {
		if l.learner || id == without {
			continue
		}
		all++
		if l.started {
			started++
		}
	}
	return started, all
}

// mayAdd is etcdserver/server.go, mayAddMember.
func (c *Cluster) mayAdd(m *member, learner bool) error {
	started, voters := m.state.startedVoters(0)
	if !learner && started < (voters+1)/2+1 && (started != 1 || voters+1 != 2) {
		return errClient(textNotStarted)
	}
	if voters > 1 && c.active(m) < (voters+1)/2+1 {
		return errClient(textUnhealthy)
	}
	return nil
}

// mayRemove is etcdserver/server.go, mayRemoveMember.
func (c *Cluster) mayRemove(m *member, id uint64) error {
	l, ok := m.state.members[id]
	switch {
	case !ok:
		return errClient(textNotFound)
	case l.learner:
		return nil
	}
	if started, left := m.state.startedVoters(id); started < left/2+1 {
		return errClient(textNotStarted)
	}
	if _, connected := c.connected(m, c.members[id-1]); id != m.id && !connected {
		return nil // it is down: the active quorum does not need it
	}
	if voters := len(m.state.voters()); c.active(m)-1 < 1+(voters-1)/2 {
		return errClient(textUnhealthy)
	}
	return nil
}

// mayPromote is etcdserver/server.go, mayPromoteMember.
func (c *Cluster) mayPromote(m *member, id uint64) error {
	l, ok := m.state.members[id]
	if !ok {
		return errClient(textNotFound)
	}
	if m.role == raft.StateLeader {
		var match, own uint64
		m.node.WithProgress(func(of uint64, _ raft.ProgressType, p trackerProgress) {
			switch of {
			case id:
				match = p.Match
			case m.id:
				own = p.Match
			}
		})
		if float64(match)/float64(own) < readyPercent {
			return errClient(textNotReady)
		}
	}
	if !l.learner {
		return errClient(textNotLearner)
	}
	started, voters := m.state.startedVoters(0)
	if started+1 < (voters+1)/2+1 {
		return errClient(textNotStarted)
	}
	return nil
}

// add names a new member and asks the cluster to take it. It is not started.
func (c *Cluster) add(ctx context.Context, name string, learner bool) error {
	m, err := c.answering(ctx)
	if err != nil {
		return err
	}
	if err := c.mayAdd(m, learner); err != nil {
		return err
	}
	if len(c.members) >= maxMembers {
		return errClient("more than 32 members")
	}
	empty := newMachine()
	d, err := newDisk(snapshotState{state: empty})
	if err != nil {
		return err
	}
	joining := &member{id: uint64(len(c.members) + 1), name: name, cluster: m.cluster, lineage: m.lineage, disk: d, state: empty, sync: c.given.Sync.D(), quota: c.quota()}
	c.members = append(c.members, joining)
	c.note(joining, Event{Kind: Joined, Of: m.name})
	kind := pb.ConfChangeAddNode
	if learner {
		kind = pb.ConfChangeAddLearnerNode
	}
	err = c.reconfigure(ctx, m, kind, joining.id)
	if err != nil && !c.listedAnywhere(joining.id) {
		joining.gone = true
	}
	return err
}

func (c *Cluster) listedAnywhere(id uint64) bool {
	return slices.ContainsFunc(c.members, func(m *member) bool {
		_, ok := m.state.members[id]
		return ok
	})
}

func (c *Cluster) remove(ctx context.Context, target *member) error {
	m, err := c.answering(ctx)
	if err != nil {
		return err
	}
	if err := c.mayRemove(m, target.id); err != nil {
		return err
	}
	if err := c.reconfigure(ctx, m, pb.ConfChangeRemoveNode, target.id); err != nil {
		return err
	}
	if !target.running() {
		target.gone = true
	}
	return nil
}

func (c *Cluster) promote(ctx context.Context, target *member) error {
	m, err := c.answering(ctx)
	if err != nil {
		return err
	}
	if m.role != raft.StateLeader && m.leader == 0 {
		return c.pass(ctx, errClient(textDeadline), clientTimeout) // forwarded to a leader that does not exist
	}
	if err := c.mayPromote(m, target.id); err != nil {
		return err
	}
	return c.reconfigure(ctx, m, pb.ConfChangeAddNode, target.id)
}

// moveLeader asks m to hand over to a voter (api/v3rpc/maintenance.go,
// MoveLeader; etcdserver/server.go).
func (c *Cluster) moveLeader(ctx context.Context, m, target *member) error {
	if m.role != raft.StateLeader {
		return errClient(textNotLeader)
	}
	if l, ok := m.state.members[target.id]; !ok || l.learner {
		return errClient(textBadTransfer)
	}
	m.node.TransferLeader(target.id)
	if err := c.work(m); err != nil {
		return err
	}
	if err := c.until(ctx, c.now+c.given.Election.D(), func() bool { return target.role == raft.StateLeader }); err != nil {
		return err
	}
	if target.role != raft.StateLeader {
		return errClient("etcdserver: request timed out, leader transfer took too long")
	}
	return nil
}
