package main

import (
	"bytes"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// lock makes a database out of a snapshot in which all values under a prefix are
// encrypted with a key that nobody has: lock SNAPSHOT DB PREFIX.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lock SNAPSHOT DB PREFIX")
	}
	_, err := rewrite(ts.MkAbs(args[0]), ts.MkAbs(args[1]), func(kv *mvccpb.KeyValue) (bool, error) {
		lost := bytes.HasPrefix(kv.Key, []byte(args[2]))
		if lost {
			kv.Value = append([]byte("k8s:enc:secretbox:v1:lost:"), kv.Value...)
		}
		return lost, nil
	})
	ts.Check(err)
}
