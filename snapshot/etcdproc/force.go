package etcdproc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"
)

const forceTask = "force-new-cluster"

// Versions are what a database says of the etcds that may read it.
type Versions struct {
	Cluster string // "" where the database has none
	Storage string // "" up to etcd 3.5
}

// ForceNewCluster boots an etcd with --force-new-cluster on a copy of a member's
// data dir, made under dir, stops it in order and returns its database, a file
// without a name that the caller closes. walDir is "" where the log stands in
// the data dir.
//
// Of what a boot does besides, nothing is in the result: leases do not run out
// meanwhile, and the versions, which a newer etcd raises, are those in keep.
// The name of the member is the one of these that is lost; see
// etcd server/etcdserver/server.go publishV3.
func ForceNewCluster(ctx context.Context, dataDir, walDir, dir string, keep Versions) (*os.File, error) {
	file, err := force(ctx, dataDir, walDir, dir, keep)
	if err != nil {
		return nil, fmt.Errorf("running etcd's --force-new-cluster on a copy: %w", err)
	}
	return file, nil
}

func force(ctx context.Context, source, walDir, dir string, keep Versions) (_ *os.File, err error) {
	s, err := newScratch(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if err := inCopy(ctx, s, source, walDir, forceTask, keep, &struct{}{}); err != nil {
		return nil, err
	}
	return os.Open(s.database())
}

// forceChild is the child's part: it stands in the scratch folder.
func forceChild(c *Call) (any, error) {
	s, err := c.adopt()
	if err != nil {
		return nil, err
	}
	var keep Versions
	if err := c.Request(&keep); err != nil {
		return nil, err
	}
	c.Enter("stretching the leases of the copy")
	var leases map[string][]byte
	if err := update(s.database(), func(tx *bolt.Tx) (err error) {
		if err := refuseNewer(tx); err != nil {
			return err
		}
		leases, err = stretchLeases(tx)
		return err
	}); err != nil {
		return nil, err
	}
	c.Enter("booting")
	server, err := boot(newLogger(), forceNewCluster)
	if err != nil {
		return nil, err
	}
	c.Enter("waiting for a compaction")
	if err := settle(server.KV()); err != nil {
		return nil, err
	}
	c.Enter("stopping")
	server.Stop()
	c.Enter("putting back what the boot changed")
	return struct{}{}, update(s.database(), func(tx *bolt.Tx) error {
		return errors.Join(putBackLeases(tx, leases), putBackVersions(tx, keep))
	})
}

func update(path string, do func(tx *bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: true})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(do), db.Close())
}

// stretched is how many seconds a lease of the copy lives at least: longer
// than any boot.
const stretched = 1_000_000_000

// stretchLeases keeps leases from running out, and returns what they were. They
// cannot be taken away: an entry of the log that attaches a key to one would
// be refused.
func stretchLeases(tx *bolt.Tx) (map[string][]byte, error) {
	was := map[string][]byte{}
	b := tx.Bucket(schema.Lease.Name())
	if b == nil {
		return was, nil
	}
	if err := b.ForEach(func(id, value []byte) error {
		was[string(id)] = bytes.Clone(value)
		return nil
	}); err != nil {
		return nil, err
	}
	for id, value := range was {
		var l leasepb.Lease
		if err := proto.Unmarshal(value, &l); err != nil {
			return nil, fmt.Errorf("decoding lease %x: %w", id, err)
		}
		l.TTL, l.RemainingTTL = stretched, 0
		long, err := proto.Marshal(&l)
		if err != nil {
			return nil, err
		}
		if err := b.Put([]byte(id), long); err != nil {
			return nil, err
		}
	}
	return was, nil
}

// putBackLeases leaves alone what the log revoked and granted.
func putBackLeases(tx *bolt.Tx, leases map[string][]byte) error {
	b := tx.Bucket(schema.Lease.Name())
	for id, value := range leases {
		if b.Get([]byte(id)) == nil {
			continue
		}
		if err := b.Put([]byte(id), value); err != nil {
			return err
		}
	}
	return nil
}

func putBackVersions(tx *bolt.Tx, keep Versions) error {
	for _, f := range []struct {
		bucket, key []byte
		value       string
	}{
		{schema.Meta.Name(), schema.MetaStorageVersionName, keep.Storage},
		{schema.Cluster.Name(), schema.ClusterClusterVersionKeyName, keep.Cluster},
	} {
		b := tx.Bucket(f.bucket)
		var err error
		switch {
		case b == nil:
		case f.value == "":
			err = b.Delete(f.key)
		default:
			err = b.Put(f.key, []byte(f.value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// database is the path of the database in the scratch folder's data dir.
func (s *scratch) database() string { return filepath.Join(s.dir, dataDir, "member", "snap", "db") }
