// Package members runs drills on real etcd members: one child process each, a
// real log and database, real seconds and etcd's own error texts. It is the
// second engine beside sim/quorum, which has the same library in virtual time.
//
//   - engine.go: [Engine], which starts a cluster, from nothing or from the
//     database of a backup; and the cluster's clock and end;
//   - member.go: one member: its process, its client, what it says of itself;
//   - mesh.go, path.go: the network between the members;
//   - action.go and the actions_*.go files: what a drill does to them;
//   - observe.go: what a drill asks of them;
//   - load.go, history.go, watch.go: what goes on all the time: reads and writes,
//     and looking.
//
// No network is used: members find each other and are found on unix sockets in
// a 0700 folder. Peer URLs are relative to the folder of the member that dials,
// so that every ordered pair of members has a socket, and a proxy behind it that
// can cut, slow or thin what passes, in one direction alone.
//
// What it cannot do: members write without fsync, so that a drill does not wear
// out a disk and does not time the one that it happens to run on; what a lost
// fsync or a slow disk does is for the virtual engine. Times are those of this
// machine; on a busy one elections take longer.
package members
