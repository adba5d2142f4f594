package quorum

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// observe gives the checker an event of a member.
func (c *Cluster) observe(m *member, e Event) error {
	e.At, e.Member = c.now, m.name
	return c.checker.Observe(e)
}

// note is observe for events that break nothing by themselves.
func (c *Cluster) note(m *member, e Event) {
	_ = c.observe(m, e) // such kinds give no error
}

// checkLog tells what is new on a member's disk.
func (c *Cluster) checkLog(m *member, entries []*pb.Entry) error {
	e := Event{Kind: Appended}
	for _, entry := range entries {
		if chain, ok := m.disk.at(entry.GetIndex()); ok {
			e.Entries = append(e.Entries, Entry{entry.GetIndex(), entry.GetTerm(), chain})
		}
	}
	if len(e.Entries) == 0 {
		return nil
	}
	return c.observe(m, e)
}

// checkReady tells after each thing that a member did who leads, and what is
// committed.
func (c *Cluster) checkReady(m *member, rd *raft.Ready) error {
	if rd.SoftState != nil && m.role == raft.StateLeader {
		if err := c.observe(m, Event{Kind: Led, Term: m.term}); err != nil {
			return err
		}
	}
	if m.role != raft.StateLeader || raft.IsEmptyHardState(rd.HardState) {
		return nil
	}
	e := Event{Kind: Committed, Term: m.term, Index: m.disk.hard.GetCommit()}
	for _, id := range m.state.voters() {
		e.Voters = append(e.Voters, c.members[id-1].name)
	}
	return c.observe(m, e)
}

// checkAcked tells where a new leader has applied its first entry: all that was
// acknowledged before is applied then.
func (c *Cluster) checkAcked(m *member, first *pb.Entry) error {
	if m.role != raft.StateLeader || first.GetTerm() != m.term {
		return nil
	}
	return c.observe(m, Event{Kind: TookOver, Term: m.term, Writes: slices.Clone(m.state.writes)})
}

// checkApply tells that an entry is applied.
func (c *Cluster) checkApply(m *member) error {
	return c.observe(m, Event{Kind: Applied, Index: m.state.applied, Hash: m.state.digest()})
}

// resumed tells of a disk that was not written by appending: all of its log.
func (c *Cluster) resumed(m *member) error {
	chain, _ := m.disk.at(m.disk.first)
	if err := c.observe(m, Event{Kind: Installed, Index: m.disk.first, Chain: chain}); err != nil {
		return err
	}
	entries, err := m.disk.entries(m.disk.first+1, m.disk.last())
	if err != nil {
		return err
	}
	return c.checkLog(m, entries)
}

// guard turns a panic of raft into a broken invariant: raft panics when a log
// is not what it acknowledged.
func (c *Cluster) guard(err *error) {
	switch p := recover().(type) {
	case nil:
	case raftPanic:
		*err = &sim.InvariantError{Name: sim.LogMatching, At: c.now, Detail: "raft panicked: " + string(p)}
	default:
		panic(p)
	}
}

// parted begins a new lineage on m.
func (c *Cluster) parted(m *member) {
	c.lineages++
	m.lineage = c.lineages
	c.note(m, Event{Kind: Parted})
}

// fold folds an event into the hash of the run.
func (c *Cluster) fold(e *event) {
	h := mix(c.digest, uint64(e.at/time.Microsecond))
	h = mix(h, uint64(e.kind)<<32|uint64(e.member))
	if m := e.msg; m != nil {
		h = mix(h, uint64(m.GetType())<<32|m.GetFrom())
		h = mix(mix(h, m.GetTerm()), m.GetIndex())
		h = mix(h, m.GetCommit()<<16|uint64(len(m.GetEntries())))
	}
	c.digest = h
}
