package quorum

import (
	pb "go.etcd.io/raft/v3/raftpb"
)

// CommitWithoutQuorum breaks a rule: a leader that sends an entry is told at
// once, in the receiver's name, that it is on its disk.
func CommitWithoutQuorum() Engine {
	return Engine{OwnProcess: true, broken: broken{forge: func(c *Cluster, from *member, msg *pb.Message) {
		if n := len(msg.GetEntries()); msg.GetType() == pb.MsgApp && n > 0 {
			forged := &pb.Message{
				Type: pb.MsgAppResp.Enum(), From: new(msg.GetTo()), To: new(from.id), Term: new(msg.GetTerm()),
				Index: new(msg.GetEntries()[n-1].GetIndex()),
			}
			c.push(event{at: c.now, kind: eventMessage, member: uint32(from.id - 1), msg: forged})
		}
	}}}
}

// LoseSynced breaks a rule: of a killed member's disk the newest entries are
// gone, though it had said that they were synced.
func LoseSynced() Engine { return Engine{OwnProcess: true, broken: broken{forget: 5}} }

// VoteTwice breaks a rule: whoever asks for a vote gets it, from members that
// have voted for somebody else, too.
func VoteTwice() Engine {
	return Engine{OwnProcess: true, broken: broken{forge: func(c *Cluster, from *member, msg *pb.Message) {
		reply := pb.MsgVoteResp
		switch msg.GetType() {
		case pb.MsgVote:
		case pb.MsgPreVote:
			reply = pb.MsgPreVoteResp
		default:
			return
		}
		if !c.reaches(from, c.members[msg.GetTo()-1]) {
			return
		}
		forged := &pb.Message{Type: reply.Enum(), From: new(msg.GetTo()), To: new(from.id), Term: new(msg.GetTerm())}
		c.push(event{at: c.now + c.given.Latency.D(), kind: eventMessage, member: uint32(from.id - 1), msg: forged})
	}}}
}

// ForgetVote breaks a rule: a vote is not on the disk when its member dies.
func ForgetVote() Engine {
	return Engine{OwnProcess: true, broken: broken{kept: func(synced *pb.HardState) *pb.HardState {
		return newHard(synced.GetTerm(), 0, synced.GetCommit())
	}}}
}

// ForgetTerm breaks a rule: the newest term, and the vote in it, are not on the
// disk when their member dies.
func ForgetTerm() Engine {
	return Engine{OwnProcess: true, broken: broken{kept: func(synced *pb.HardState) *pb.HardState {
		return newHard(max(firstTerm, synced.GetTerm()-1), 0, synced.GetCommit())
	}}}
}

// Remembered is how many hashes the checker holds.
func (c *Checker) Remembered() (n int) {
	for _, h := range c.histories {
		n += len(h.log) + len(h.applied) + len(h.states)
	}
	for _, m := range c.members {
		n += len(m.chain)
	}
	return n
}
