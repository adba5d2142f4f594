// Package apiserver answers the Kubernetes API from a backup, read-only, so
// that kubectl, k9s, Helm and every other client work on what is left of a
// cluster, at any revision that its etcd still holds.
//
//	server, err := apiserver.New(ctx, apiserver.Options{Reader: db, Source: "kube-backup.tar.gz"})
//	if err != nil { … }
//	defer server.Close()
//	http.Serve(listener, server)
//
// A [Server] is a plain http.Handler; package local puts it on loopback with a
// certificate, a token and a kubeconfig. Its answers are those of a
// kube-apiserver of the linked release (package spec) with all APIs switched
// on: discovery, get, list and watch in every version, as Table with kubectl's
// columns, as JSON, YAML and protobuf. Selectors, pages and resource versions
// mean what they mean there. Under /rev/N stands the same API as of etcd
// revision N, and a watch from a resource version tells what happened after it.
//
// What differs, on purpose: nothing can be written, and a refusal names the
// command that brings an object back. Ages in tables count to the moment of
// the backup. Objects that cannot be read come as Warning headers; a list is
// never shorter without saying so.
//
// The server holds an index of each revision that is asked for, 100 bytes for
// an object, and no decoded object; items of lists that were sent lately it
// keeps as bytes, 64 MiB at most. Lists are decoded on all cores, in order, and
// written as they are decoded.
package apiserver
