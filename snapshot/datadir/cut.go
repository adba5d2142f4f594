package datadir

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Cut is what a restore to a revision leaves behind, for a plan.
type Cut struct {
	Newest  int64 `json:"newestRevision"` // of the source
	Records int64 `json:"records"`        // changes after the revision, which are lost

	// Leaseless are living keys whose lease was gone by the source's end: they
	// stay until somebody deletes them.
	Leaseless int64 `json:"leaseless,omitempty"`
}

// planCut makes the plan that of the source as it was at a revision.
func (p *RestorePlan) planCut(ctx context.Context) error {
	rev := p.opts.Revision
	if rev == 0 {
		return nil
	}
	leases, err := p.db.Leases()
	if err != nil {
		return err
	}
	cut := &Cut{Newest: p.info.Revision}
	p.Keys = 0
	for kv, err := range p.db.At(ctx, rev, nil) {
		if err != nil {
			return err
		}
		p.Keys++
		if kv.Lease != 0 && !leases[kv.Lease] {
			cut.Leaseless++
		}
	}
	for _, err := range p.db.Records(ctx, rev) {
		if err != nil {
			return err
		}
		cut.Records++
	}
	p.Cut, p.Revision = cut, rev
	return nil
}

// newestRecord is the revision of the newest record up to rev, 0 for all. It is
// below the newest revision where a compaction took the records at the end,
// which were deletions.
func newestRecord(ctx context.Context, db *snapshot.DB, rev int64) (int64, error) {
	for record, err := range db.Records(ctx, 0) {
		if err != nil || rev == 0 || record.Main <= rev {
			return record.Main, err
		}
	}
	return 0, nil
}

// cutRecords takes the records after a revision out of bucket "key".
func cutRecords(tx *bolt.Tx, rev int64) error {
	keys := tx.Bucket(schema.Key.Name())
	if keys == nil {
		return fmt.Errorf("no bucket %q", schema.Key.Name())
	}
	first := binary.BigEndian.AppendUint64(nil, uint64(rev)+1)
	c := keys.Cursor()
	for key, _ := c.Seek(first); key != nil; key, _ = c.Seek(first) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// cutDatabase is cutRecords on a file of ours.
func cutDatabase(path string, rev int64) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error { return cutRecords(tx, rev) })
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}

// lastRecord is the newest record up to a revision, 0 for all.
func lastRecord(keys *bolt.Bucket, rev int64) (key, value []byte) {
	c := keys.Cursor()
	if rev > 0 {
		if after, _ := c.Seek(binary.BigEndian.AppendUint64(nil, uint64(rev)+1)); after != nil {
			return c.Prev()
		}
	}
	return c.Last()
}
