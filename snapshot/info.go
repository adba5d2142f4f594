package snapshot

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/coreos/go-semver/semver"
)

// Info is what the file says of itself, under the names of `etcdctl endpoint
// status -w json` where that has one. A field that the etcd which wrote the
// file did not know yet stays empty.
type Info struct {
	Size      int64  `json:"dbSize"`      // bytes of all pages; a member's file may be longer, preallocated
	SizeInUse int64  `json:"dbSizeInUse"` // Size less the free pages; a running member also counts what its last commits freed
	FileSize  int64  `json:"fileSize"`    // bytes on disk, a trailer included, see Length
	PageSize  int64  `json:"pageSize"`
	Pages     int64  `json:"pages"`
	FreePages int64  `json:"freePages"`
	BadMeta   string `json:"badMeta,omitempty"` // what is wrong with the older or torn one of the two meta pages

	Revision         int64 `json:"revision"`
	CompactRevision  int64 `json:"compactRevision"`            // -1: nothing was compacted
	ScheduledCompact int64 `json:"scheduledCompact,omitempty"` // newest compaction asked for; ahead of FinishedCompact: it was cut off
	FinishedCompact  int64 `json:"finishedCompact,omitempty"`  // newest compaction carried out

	Records    int64 `json:"records"`    // changes stored, tombstones included
	Tombstones int64 `json:"tombstones"` // of them, deletions
	LiveKeys   int64 `json:"liveKeys"`   // keys alive at Revision

	RaftIndex      uint64 `json:"raftIndex"`
	RaftTerm       uint64 `json:"raftTerm,omitempty"`       // since etcd 3.5
	ClusterVersion string `json:"version,omitempty"`        // since etcd 3.5
	StorageVersion string `json:"storageVersion,omitempty"` // since etcd 3.6

	Leases      int64 `json:"leases"`
	AuthEnabled bool  `json:"authEnabled"`
}

// Info is Status with the living keys counted: a pass over all records, and
// some 12 bytes of memory for each.
func (db *DB) Info(ctx context.Context) (Info, error) {
	info, err := db.Status()
	if err != nil {
		return Info{}, err
	}
	newest, err := db.newestAt(ctx, db.revision)
	if err != nil {
		return Info{}, fmt.Errorf("counting keys: %w", err)
	}
	info.LiveKeys = newest.alive()
	return info, nil
}

// readStatus reads the buckets meta, cluster, lease and auth (etcd
// server/storage/schema).
func (db *DB) readStatus(info *Info) error {
	for name, number := range map[string]*uint64{"consistent_index": &info.RaftIndex, "term": &info.RaftTerm} {
		value := db.get("meta", name)
		if value == nil {
			continue
		}
		if len(value) != 8 {
			return damaged("meta key %q has %d bytes, want 8", name, len(value))
		}
		*number = binary.BigEndian.Uint64(value)
	}
	// As in etcd, a version that is none counts as absent; Check reports it.
	info.StorageVersion, _ = db.version("meta", "storageVersion")
	info.ClusterVersion, _ = db.version("cluster", "clusterVersion")
	enabled := db.get("auth", "authEnabled")
	info.AuthEnabled = len(enabled) == 1 && enabled[0] == 1
	if leases := db.tx.Bucket([]byte("lease")); leases != nil {
		return leases.ForEach(func(_, _ []byte) error {
			info.Leases++
			return nil
		})
	}
	return nil
}

// version returns a version number of etcd's, "" when there is none.
func (db *DB) version(bucket, key string) (string, error) {
	value := db.get(bucket, key)
	if value == nil {
		return "", nil
	}
	v, err := semver.NewVersion(string(clip(value)))
	if err != nil {
		return "", damaged("%s key %q: %q is not a version", bucket, key, clip(value))
	}
	return v.String(), nil
}
