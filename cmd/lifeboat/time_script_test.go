package main

import (
	"bytes"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// skew makes a database out of a snapshot in which the clock of a machine is
// wrong: skew SNAPSHOT DB HOLDER HOW. HOLDER is how the holders of its Leases
// begin, * for all of them; HOW is a duration, or "backwards" for a clock that
// runs the other way from its first renewal on.
func skew(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: skew SNAPSHOT DB HOLDER HOW")
	}
	wrong := func(at time.Time) time.Time { return at }
	if args[3] == "backwards" {
		var first time.Time
		wrong = func(at time.Time) time.Time {
			if first.IsZero() {
				first = at
			}
			return first.Add(-at.Sub(first))
		}
	} else {
		off, err := time.ParseDuration(args[3])
		ts.Check(err)
		wrong = func(at time.Time) time.Time { return at.Add(off) }
	}
	renewals, err := rewrite(ts.MkAbs(args[0]), ts.MkAbs(args[1]), func(kv *mvccpb.KeyValue) (bool, error) {
		return renewAt(kv, strings.TrimSuffix(args[2], "*"), wrong)
	})
	ts.Check(err)
	if renewals == 0 {
		ts.Fatalf("%s holds no Lease", args[2])
	}
}

// rewrite makes a database out of a snapshot, with other records where edit says
// that it changed one. It counts them.
func rewrite(from, to string, edit func(*mvccpb.KeyValue) (bool, error)) (changed int, err error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	data = data[:len(data)-len(data)%512] // the sha256 trailer would be wrong
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return 0, err
	}
	db, err := bolt.Open(to, 0o600, nil)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return changed, db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("key"))
		records := map[string][]byte{}
		err := bucket.ForEach(func(revision, record []byte) error {
			var kv mvccpb.KeyValue
			if err := proto.Unmarshal(record, &kv); err != nil || len(kv.Value) == 0 {
				return err
			}
			edited, err := edit(&kv)
			if edited && err == nil {
				records[string(revision)], err = proto.Marshal(&kv)
			}
			return err
		})
		for revision, record := range records {
			if err == nil {
				err = bucket.Put([]byte(revision), record)
				changed++
			}
		}
		return err
	})
}

// renewAt puts another time into the record of a Lease, and reports whether it is one.
func renewAt(kv *mvccpb.KeyValue, holder string, wrong func(time.Time) time.Time) (bool, error) {
	if !bytes.HasPrefix(kv.Key, []byte("/registry/leases/")) {
		return false, nil
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(bytes.TrimPrefix(kv.Value, []byte("k8s\x00"))); err != nil {
		return false, err
	}
	var lease coordinationv1.Lease
	if err := lease.Unmarshal(envelope.Raw); err != nil {
		return false, err
	}
	if lease.Spec.RenewTime == nil || lease.Spec.HolderIdentity == nil || !strings.HasPrefix(*lease.Spec.HolderIdentity, holder) {
		return false, nil
	}
	at := metav1.NewMicroTime(wrong(lease.Spec.RenewTime.Time))
	lease.Spec.RenewTime = &at
	var err error
	if envelope.Raw, err = lease.Marshal(); err != nil {
		return false, err
	}
	value, err := envelope.Marshal()
	kv.Value = append([]byte("k8s\x00"), value...)
	return true, err
}
