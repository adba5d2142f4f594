package quorum

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// trap is an ambush that is laid: once witness has voted for candidate, it dies
// and comes back. Whoever forgets a vote or a term on the way votes again.
type trap struct{ candidate, witness *member }

// lay cuts what m sends to all but one voter, so that nobody else hears of the
// term in which it stands.
func (c *Cluster) lay(m *member) {
	var voters []*member
	for _, id := range m.state.voters() {
		if id != m.id {
			voters = append(voters, c.members[id-1])
		}
	}
	if len(voters) == 0 {
		return
	}
	c.trap = trap{m, voters[c.rng.IntN(len(voters))]}
	for _, other := range c.members {
		if other != m && other != c.trap.witness {
			c.links[m.id-1][other.id-1].cut = true
		}
	}
	c.connections()
	c.event(sim.Event{Kind: sim.EventLink, Text: "ambush " + m.name + ", " + c.trap.witness.name + " hears it"})
}

// spring is looked at after each message: when the witness' vote has arrived, the
// witness is killed and started at once, and hears no more of whom it voted for.
func (c *Cluster) spring(from, to *member, msg *pb.Message) error {
	if c.trap.candidate != to || c.trap.witness != from || msg.GetType() != pb.MsgVoteResp || msg.GetReject() {
		return nil
	}
	c.trap = trap{}
	c.links[to.id-1][from.id-1].cut = true
	c.kill(from, false)
	c.event(sim.Event{Kind: sim.EventAction, Member: from.name, Text: "killed after its vote, and started"})
	return c.start(from)
}
