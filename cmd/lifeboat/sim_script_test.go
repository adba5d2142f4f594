package main

import (
	"bytes"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// lock makes a database out of a snapshot in which all values under a prefix are
// encrypted with a key that nobody has: lock SNAPSHOT DB PREFIX.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lock SNAPSHOT DB PREFIX")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	data = data[:len(data)-len(data)%512] // the sha256 trailer would be wrong
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
	db, err := bolt.Open(ts.MkAbs(args[1]), 0o600, nil)
	ts.Check(err)
	defer db.Close()
	ts.Check(db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("key"))
		records := map[string][]byte{}
		err := bucket.ForEach(func(revision, record []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(record, &kv); err != nil || !bytes.HasPrefix(kv.Key, []byte(args[2])) || len(kv.Value) == 0 {
				return err
			}
			kv.Value = append([]byte("k8s:enc:secretbox:v1:lost:"), kv.Value...)
			locked, err := proto.Marshal(&kv)
			records[string(revision)] = locked
			return err
		})
		for revision, record := range records {
			if err == nil {
				err = bucket.Put([]byte(revision), record)
			}
		}
		return err
	}))
}
