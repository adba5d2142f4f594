package quorum

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// history is what all members of one lineage have to agree on. A lineage is a
// stretch in which raft promises anything: force-new-cluster, rebuild and
// restore begin a new one on the member they are done to.
//
// Logs are compared by chained hashes: equal hashes at an index are equal logs
// up to there, so each invariant costs one comparison per event.
type history struct {
	leaders map[uint64]uint64   // term: leader
	log     map[position]uint64 // hash of the log up to an entry
	floor   uint64              // positions below are forgotten
	newest  uint64
	commits []commit          // committed logs by the term that committed, ascending
	applied map[uint64]uint64 // hash of the log at applied indexes
}

type position struct{ index, term uint64 }

// commit is the longest prefix known to be committed in a term.
type commit struct{ term, index, chain uint64 }

// remembered is how many entries a history goes back: logs are no longer.
const remembered = 3 * snapshotEvery

func newHistory() *history {
	return &history{leaders: map[uint64]uint64{}, log: map[position]uint64{}, applied: map[uint64]uint64{}}
}

func (c *Cluster) broke(name sim.Invariant, format string, args ...any) error {
	if !slices.Contains(c.checked, name) {
		return nil
	}
	return &sim.InvariantError{Name: name, At: c.now, Detail: fmt.Sprintf(format, args...)}
}

// checkLog holds log-matching: entries with the same index and term are at the
// end of the same log.
func (c *Cluster) checkLog(m *member, entries []*pb.Entry) error {
	h := c.histories[m.lineage]
	for _, e := range entries {
		at := position{e.GetIndex(), e.GetTerm()}
		chain, ok := m.disk.at(at.index)
		if !ok {
			continue
		}
		if known, seen := h.log[at]; !seen {
			h.log[at] = chain
		} else if known != chain {
			return c.broke(sim.LogMatching, "%s has another log up to index %d, term %d", m.name, at.index, at.term)
		}
		h.newest = max(h.newest, at.index)
	}
	h.forget()
	return nil
}

// forget drops what no log holds any more.
func (h *history) forget() {
	if h.newest < h.floor+2*remembered {
		return
	}
	h.floor = h.newest - remembered
	for at := range h.log { // order does not matter: nothing is drawn or hashed
		if at.index < h.floor {
			delete(h.log, at)
		}
	}
	for index := range h.applied {
		if index < h.floor {
			delete(h.applied, index)
		}
	}
}

// checkReady looks at a member after each thing it did: who leads, and what is
// committed.
func (c *Cluster) checkReady(m *member, rd *raft.Ready) error {
	h := c.histories[m.lineage]
	if rd.SoftState != nil && m.role == raft.StateLeader {
		if err := c.checkLeader(h, m); err != nil {
			return err
		}
	}
	if m.role != raft.StateLeader || raft.IsEmptyHardState(rd.HardState) {
		return nil
	}
	index := m.disk.hard.GetCommit()
	chain, ok := m.disk.at(index)
	if !ok {
		return nil
	}
	if err := c.checkQuorum(m, index, chain); err != nil {
		return err
	}
	if n := len(h.commits); n > 0 && h.commits[n-1].term == m.term {
		if index > h.commits[n-1].index {
			h.commits[n-1].index, h.commits[n-1].chain = index, chain
		}
	} else if n == 0 || h.commits[n-1].term < m.term {
		h.commits = append(h.commits[max(0, n-63):], commit{m.term, index, chain})
	}
	return nil
}

// checkLeader holds one-leader-per-term and leader-completeness: a leader's log
// holds all that was committed in earlier terms.
func (c *Cluster) checkLeader(h *history, m *member) error {
	if other, ok := h.leaders[m.term]; ok && other != m.id {
		return c.broke(sim.OneLeaderPerTerm, "%s leads term %d, and so does %s", m.name, m.term, c.members[other-1].name)
	}
	h.leaders[m.term] = m.id
	for _, committed := range h.commits {
		if committed.term >= m.term || committed.index < m.disk.first {
			continue
		}
		if chain, ok := m.disk.at(committed.index); !ok || chain != committed.chain {
			return c.broke(sim.LeaderCompleteness, "%s leads term %d without what term %d committed up to index %d", m.name, m.term, committed.term, committed.index)
		}
	}
	return nil
}

// checkAcked holds acked-writes-survive where a new leader applies its first
// entry: all that was acknowledged before is applied then.
func (c *Cluster) checkAcked(m *member, first *pb.Entry) error {
	if m.role != raft.StateLeader || first.GetTerm() != m.term {
		return nil
	}
	if lost, _ := c.lost(m.state); lost > 0 {
		return c.broke(sim.AckedWritesSurvive, "%s leads term %d without %d acknowledged writes", m.name, m.term, lost)
	}
	return nil
}

// checkQuorum holds commit-on-quorum: what a leader takes for committed is on
// the disks of a majority of its configuration.
func (c *Cluster) checkQuorum(m *member, index, chain uint64) error {
	voters, have := 0, 0
	for id, listed := range m.state.members {
		if listed.learner {
			continue
		}
		voters++
		other := c.members[id-1].disk
		if got, ok := other.at(index); (ok && got == chain) || index < other.first {
			have++
		}
	}
	if have < voters/2+1 {
		return c.broke(sim.CommitOnQuorum, "%s took index %d for committed, and %d of %d voters hold it", m.name, index, have, voters)
	}
	return nil
}

// checkApply holds committed-agree and applied-monotone.
func (c *Cluster) checkApply(m *member, e *pb.Entry) error {
	index := e.GetIndex()
	if before := c.applied[m.id-1]; before > 0 && index != before+1 {
		return c.broke(sim.AppliedMonotone, "%s applied index %d after %d", m.name, index, before)
	}
	c.applied[m.id-1] = index
	chain, ok := m.disk.at(index)
	if !ok {
		return nil
	}
	h := c.histories[m.lineage]
	if known, seen := h.applied[index]; !seen {
		h.applied[index] = chain
	} else if known != chain {
		return c.broke(sim.CommittedAgree, "%s applied another log up to index %d", m.name, index)
	}
	return nil
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
	c.histories = append(c.histories, newHistory())
	m.lineage = len(c.histories) - 1
	c.applied[m.id-1] = 0
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
