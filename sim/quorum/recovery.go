package quorum

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// forceNewCluster boots a member with etcd's flag (etcdserver/bootstrap.go,
// bootstrapWALFromSnapshot; storage/util.go, CreateConfigChangeEnts): entries
// beyond what the log knows to be committed are dropped, and entries that
// remove everybody else are added. Cluster and member keep their ids.
func (c *Cluster) forceNewCluster(m *member) error {
	c.kill(m, false)
	d := m.disk
	commit := max(d.synced.GetCommit(), d.backend)
	if commit < d.first {
		return errClient("the log begins after what is committed")
	}
	commit = min(commit, d.last())
	if err := d.cut(commit); err != nil {
		return err
	}
	state, err := c.replay(d, commit)
	if err != nil {
		return err
	}
	if l, ok := state.members[m.id]; ok && l.learner {
		// raft: the entries remove every voter (seen with etcd 3.4 to 3.7).
		return errClient("panic: removed all voters")
	}
	var entries []*pb.Entry
	index, term := commit, d.synced.GetTerm()
	change := func(kind pb.ConfChangeType, id uint64) error {
		data, err := proto.Marshal(&pb.ConfChange{Type: kind.Enum(), NodeId: new(id)})
		index++
		entries = append(entries, &pb.Entry{Type: pb.EntryConfChange.Enum(), Index: new(index), Term: new(term), Data: data})
		return err
	}
	if _, ok := state.members[m.id]; !ok {
		if err := change(pb.ConfChangeAddNode, m.id); err != nil {
			return err
		}
	}
	ids := state.confState()
	for _, id := range append(ids.GetVoters(), ids.GetLearners()...) {
		if id != m.id {
			if err := change(pb.ConfChangeRemoveNode, id); err != nil {
				return err
			}
		}
	}
	c.note(m, Event{Kind: Truncated, Index: commit})
	c.parted(m)
	if err := d.append(entries); err != nil {
		return err
	}
	if err := c.checkLog(m, entries); err != nil {
		return err
	}
	d.hard = &pb.HardState{Term: new(term), Vote: new(d.synced.GetVote()), Commit: new(index)}
	d.synced = d.hard
	m.gone, m.refuses = false, ""
	return c.start(m)
}

// rebuild makes a member a new cluster of its own out of all its disk holds,
// the log's tail included, as `lifeboat etcd rebuild` does.
func (c *Cluster) rebuild(m *member, bump bool) error {
	c.kill(m, false)
	state, err := c.replay(m.disk, m.disk.last())
	if err != nil {
		return err
	}
	return c.fresh(m, state, bump)
}

// restore starts a member from the newest saved snapshot, in a new cluster.
func (c *Cluster) restore(m *member, bump bool) error {
	if c.saved == nil {
		return errClient("there is no snapshot: nothing was saved before")
	}
	c.kill(m, false)
	return c.fresh(m, c.saved.clone(), bump)
}

// revisionBump is etcdutl's advice for --bump-revision: above any revision that
// a watcher can have seen (KEP-3926 names a billion).
const revisionBump = 1_000_000_000

// fresh boots m alone, under a new cluster id, from a state.
func (c *Cluster) fresh(m *member, state *machine, bump bool) error {
	for _, other := range c.members {
		c.seen = max(c.seen, other.state.revision)
	}
	if bump {
		state.revision += revisionBump
		state.compact() // etcdutl's --mark-compacted: etcd drops the history as it boots
	}
	state.members, state.removed = map[uint64]listed{m.id: {started: true}}, map[uint64]bool{}
	state.noSpace = false
	state.applied = firstIndex
	d, err := newDisk(c.hold(snapshotState{state: state, term: 1, chain: mix(c.digest, m.id)}))
	if err != nil {
		return err
	}
	c.clusters++
	m.disk, m.cluster, m.gone, m.refuses = d, c.clusters, false, ""
	c.parted(m)
	if err := c.resumed(m); err != nil {
		return err
	}
	return c.start(m)
}

// install takes a snapshot that the leader sent.
func (c *Cluster) install(m *member, snap *pb.Snapshot) error {
	base, ok := c.snapshotOf(snap)
	if !ok {
		return &sim.FatalError{Err: errNoState}
	}
	m.state = base.state.clone()
	m.disk.size = m.state.size
	if err := m.disk.install(base); err != nil {
		return err
	}
	return c.observe(m, Event{Kind: Installed, Index: m.state.applied, Chain: base.chain, Hash: m.state.digest()})
}

func (c *Cluster) lostSnapshot(from *member, to uint64) {
	from.node.ReportSnapshot(to, raft.SnapshotFailure)
}
