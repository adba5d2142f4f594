// Package quorum is the virtual engine of a drill: go.etcd.io/raft itself, one
// RawNode per member, under a clock and a network of our own.
//
// What is real: every vote, append, commit and read index is decided by the
// raft library with etcd's configuration (PreVote, CheckQuorum, ticks). What is
// ours, after etcd 3.7's source, is what stands above raft: health rules for
// member changes (etcdserver/server.go), quota and alarms, force-new-cluster
// (etcdserver/bootstrap.go), what a killed process keeps. Keys have no values
// and disks have no bytes.
//
//   - engine.go: Start, and the loop over the event queue;
//   - member.go, disk.go, machine.go: a member, what it keeps, what it applied;
//   - network.go: latency, cuts, losses, and who is connected since when;
//   - clients.go: the load, probes, and what was acknowledged;
//   - membership.go, recovery.go, actions.go: what a drill does;
//   - invariants.go, linearizable.go: what is checked after every event.
//
// raft draws its election timeouts from crypto/rand.Reader, which belongs to
// the whole process. Runs are only repeatable in a process that does nothing
// else: see Engine.OwnProcess.
package quorum
