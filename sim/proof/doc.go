// Package proof starts a control plane from a backup, in a sandbox, and asks it
// for everything that the backup holds. That is the one proof that a backup is
// good for something: an archive can be whole and consistent, and no API server
// starts from it.
//
//	report, err := proof.Run(ctx, backup, proof.Options{Dir: dir, APIServer: "/usr/bin/kube-apiserver"})
//	if err != nil { … }                       // this host could not try
//	err = lifeboat.Verdict(report.Checks)      // nil: proven
//
// The data dir is restored as `lifeboat etcd restore` restores it. The archived
// commands of etcd and kube-apiserver then run as they stand, on the archived
// addresses, with the archived certificates, in package sandbox; when the API
// server is ready, each resource that it serves is listed and compared with what
// package registry reads in the backup. Whatever does not fit is a Check with a
// name, and what the proof could not reach is said.
//
// Embedded etcd and the sandbox are this program's own binary: call
// sandbox.Main() and etcdproc.Main(datadir.Tasks()...) first thing in main, and
// in TestMain.
package proof
