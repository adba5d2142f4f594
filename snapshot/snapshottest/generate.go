// Package snapshottest makes etcd databases for tests and benchmarks.
//
// [Generate] writes one of any size straight through bbolt, shaped as etcd 3.6
// and later shape theirs and filled as a Kubernetes API server fills it: Pods,
// Secrets, ConfigMaps, Leases, Events and Deployments in their stored form, with
// the history of objects that were changed and deleted. The same Spec gives the
// same bytes. [Faults] lists the ways to damage such a file, for the tests of
// everything that has to survive one.
package snapshottest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Spec says what database to make. The zero value of a field stands for the
// number in its comment.
type Spec struct {
	Keys       int    // live keys, Namespaces included; 1000. With its history each takes about 2.8 KB
	Namespaces int    // one for 250 keys, at least 4
	Seed       uint64 // picks one of many databases alike

	// Updates and Deletions are records beyond the live ones, per hundred
	// keys: changes of living objects, 20, and objects that were created and
	// deleted again, 5 (two records each). A negative number stands for none.
	Updates, Deletions int

	Cluster string // UID of the namespace kube-system, which the last one is then; "" for none

	Trailer bool // append the sha256 trailer, as `etcdctl snapshot save` does
}

// Summary says what a generated database holds.
type Summary struct {
	Revision   int64
	Live       int      // keys
	Records    int      // changes stored, tombstones included
	Tombstones int      // of them, deletions
	Namespaces []string // the first two are infra-production and infra-production-2
}

// Sizes of what Generate hands to bbolt at once.
const (
	batchRecords = 5000
	fillPercent  = 0.9 // as etcd server/storage/backend/batch_tx.go sets it
)

// Generate writes a database to path, which must not exist.
func Generate(path string, spec Spec) (Summary, error) {
	spec.setDefaults()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return Summary{}, fmt.Errorf("generating database: %w", err)
	}
	if err := f.Close(); err != nil {
		return Summary{}, err
	}
	summary, err := generate(path, spec)
	if err != nil {
		return Summary{}, fmt.Errorf("generating database %q: %w", path, err)
	}
	return summary, nil
}

func (s *Spec) setDefaults() {
	if s.Keys == 0 {
		s.Keys = 1000
	}
	if s.Namespaces == 0 {
		s.Namespaces = max(4, s.Keys/250)
	}
	s.Namespaces = max(1, min(s.Namespaces, s.Keys))
	if s.Updates == 0 {
		s.Updates = 20
	}
	if s.Deletions == 0 {
		s.Deletions = 5
	}
}

func generate(path string, spec Spec) (Summary, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoGrowSync: true, NoFreelistSync: true})
	if err != nil {
		return Summary{}, err
	}
	w := &writer{db: db, spec: spec, random: rand.New(rand.NewPCG(spec.Seed, 1)), summary: Summary{Revision: 1}}
	err = w.run()
	if w.tx != nil {
		_ = w.tx.Rollback() // after an error; Close would wait for it
	}
	size := int64(0)
	if err == nil {
		err = db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	}
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return Summary{}, err
	}
	// bbolt preallocates; a snapshot ends with its last page.
	if err := os.Truncate(path, size); err != nil {
		return Summary{}, err
	}
	if spec.Trailer {
		err = AppendTrailer(path)
	}
	return w.summary, err
}

// writer writes a history, change after change.
type writer struct {
	db      *bolt.DB
	spec    Spec
	random  *rand.Rand
	objects objects
	summary Summary

	tx      *bolt.Tx
	keys    *bolt.Bucket
	pending int
	live    []version
}

// version is what a record needs to know of the one before it.
type version struct{ created, number int64 }

func (w *writer) run() error {
	w.objects = newObjects(w.spec)
	w.summary.Namespaces = w.objects.namespaces
	if err := w.db.Update(w.writeBuckets); err != nil {
		return err
	}
	for i := range w.spec.Keys {
		if err := w.change(i); err != nil {
			return err
		}
	}
	w.summary.Live = w.spec.Keys
	if err := w.commit(); err != nil {
		return err
	}
	return w.db.Update(w.writeMeta)
}

// change creates object i, and now and then changes an older one or lets one
// come and go.
func (w *writer) change(i int) error {
	w.live = append(w.live, version{})
	if err := w.put(i); err != nil {
		return err
	}
	if w.random.IntN(100) < w.spec.Updates {
		if err := w.put(w.random.IntN(len(w.live))); err != nil {
			return err
		}
	}
	if w.random.IntN(100) < w.spec.Deletions {
		return w.comeAndGo(i)
	}
	return nil
}

func (w *writer) put(i int) error {
	v := &w.live[i]
	if v.number++; v.number == 1 {
		v.created = w.summary.Revision + 1
	}
	kv, err := w.objects.record(i, v.number)
	if err != nil {
		return err
	}
	kv.CreateRevision, kv.Version = v.created, v.number
	return w.write(kv, false)
}

// comeAndGo writes an object that is deleted at once.
func (w *writer) comeAndGo(i int) error {
	kv, err := w.objects.record(i, 1)
	if err != nil {
		return err
	}
	kv.Key = append(kv.Key, "-gone"...)
	kv.CreateRevision, kv.Version = w.summary.Revision+1, 1
	if err := w.write(kv, false); err != nil {
		return err
	}
	return w.write(&mvccpb.KeyValue{Key: kv.Key}, true)
}

// write gives a record the next revision (etcd server/storage/mvcc/revision.go).
func (w *writer) write(kv *mvccpb.KeyValue, tombstone bool) error {
	w.summary.Revision++
	w.summary.Records++
	rev := revisionKey(w.summary.Revision)
	if tombstone {
		w.summary.Tombstones++
		rev = append(rev, 't')
	} else {
		kv.ModRevision = w.summary.Revision
	}
	value, err := proto.Marshal(kv)
	if err != nil {
		return err
	}
	if w.tx == nil {
		if w.tx, err = w.db.Begin(true); err != nil {
			return err
		}
		w.keys = w.tx.Bucket([]byte("key"))
		w.keys.FillPercent = fillPercent
	}
	if err := w.keys.Put(rev, value); err != nil {
		return err
	}
	if w.pending++; w.pending == batchRecords {
		return w.commit()
	}
	return nil
}

func (w *writer) commit() error {
	if w.tx == nil {
		return nil
	}
	err := w.tx.Commit()
	w.tx, w.pending = nil, 0
	return err
}

// writeBuckets makes the buckets of etcd server/storage/schema/bucket.go.
func (w *writer) writeBuckets(tx *bolt.Tx) error {
	for _, name := range []string{
		"key", "meta", "lease", "alarm", "cluster", "members", "members_removed", "auth", "authUsers", "authRoles",
	} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// writeMeta writes what etcd keeps beside the keyspace: a cluster of one member
// that has written every revision with one raft entry.
func (w *writer) writeMeta(tx *bolt.Tx) error {
	const member = "8e9e05c52164694d" // etcd's id for a single member at localhost
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	for _, entry := range []struct {
		bucket, key string
		value       []byte
	}{
		{"meta", "consistent_index", number(uint64(w.summary.Revision) + 4)},
		{"meta", "term", number(2)},
		{"meta", "confState", []byte(`{"voters":[10276657743932975437],"auto_leave":false}`)},
		{"meta", "storageVersion", []byte("3.6.0")},
		{"cluster", "clusterVersion", []byte("3.6.0")},
		{"auth", "authRevision", number(1)},
		{"members", member, []byte(`{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default","clientURLs":["http://localhost:2379"]}`)},
	} {
		if err := tx.Bucket([]byte(entry.bucket)).Put([]byte(entry.key), entry.value); err != nil {
			return err
		}
	}
	for _, id := range w.objects.leases() {
		// leasepb.Lease{ID: 1, TTL: 2}, an hour as for Events
		value := protowire.AppendTag(nil, 1, protowire.VarintType)
		value = protowire.AppendVarint(value, uint64(id))
		value = protowire.AppendTag(value, 2, protowire.VarintType)
		value = protowire.AppendVarint(value, 3600)
		if err := tx.Bucket([]byte("lease")).Put(number(uint64(id)), value); err != nil {
			return err
		}
	}
	return nil
}

func revisionKey(main int64) []byte {
	key := make([]byte, 0, 18)
	key = binary.BigEndian.AppendUint64(key, uint64(main))
	key = append(key, '_')
	return binary.BigEndian.AppendUint64(key, 0)
}
