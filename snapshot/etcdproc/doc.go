// Package etcdproc reads an etcd database the way etcd reads it: a real etcd
// server, embedded in a child process, booted over a restored copy and asked
// through its API. It is the second engine beside package snapshot, which
// reads the file directly, and meets the same [snapshot.Reader].
//
//	func main() {
//		etcdproc.Main() // first thing: the child is this very binary
//		…
//	}
//
//	p, err := etcdproc.Start(ctx, db, etcdproc.Options{Dir: "."})
//	if err != nil { … }
//	defer p.Close()
//	for kv, err := range p.At(ctx, 0, nil) { … }
//
// The file that is read stays as it is: etcd gets a copy, made by etcdutl's
// restore, in a 0700 folder that is gone when Start fails, when Close returns,
// when the child dies and when the parent dies. Only when both are killed at
// the same moment does it stay, and [Sweep] finds it.
//
// [Do] has a child do other work that only etcd's own code can do, over files
// that it is handed; [Try] boots an etcd on a copy of a whole data dir, to see
// whether it starts and what it holds; [ForceNewCluster] goes etcd's own way
// after the loss of a quorum, on a copy.
//
// A child, because etcd's server ends the process over a bad file (lg.Fatal,
// panics in goroutines of its own) and a recovery tool has to say why instead.
// Nothing listens on a network or has a name in a file system: the API is
// served on a socket pair that the child inherits, so that the path of the
// scratch folder may be long and its file system may be one without sockets.
//
// The same child also runs whole members for drills: a [Lab] is a folder in
// which each [Member] has its data dir, peers and clients, and may be killed.
package etcdproc
