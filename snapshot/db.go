package snapshot

import (
	"context"
	"errors"
	"iter"
	"os"
)

// DB is an etcd database opened for reading.
type DB struct{}

var _ Reader = (*DB)(nil)

// Open opens the database at path.
func Open(path string) (*DB, error) { return nil, errors.ErrUnsupported }

// OpenFile takes over f.
func OpenFile(f *os.File) (*DB, error) { return nil, errors.ErrUnsupported }

// Close closes the file; every KeyValue that At yielded ends with it.
func (db *DB) Close() error { return nil }

// Revision is the newest revision of the keyspace.
func (db *DB) Revision() int64 { return 0 }

// CompactRevision is the compacted revision, -1 when nothing was compacted.
func (db *DB) CompactRevision() int64 { return 0 }

// At meets Reader.
func (db *DB) At(ctx context.Context, rev int64, match func(key []byte) bool) iter.Seq2[KeyValue, error] {
	return nil
}

// HashKV is the hash of `etcdctl endpoint hashkv`.
func (db *DB) HashKV(ctx context.Context, rev int64) (Hash, error) {
	return Hash{}, errors.ErrUnsupported
}

// Check looks for what Open lets pass.
func (db *DB) Check(ctx context.Context) ([]Problem, error) { return nil, errors.ErrUnsupported }

// Info answers the columns of `etcdctl endpoint status`.
func (db *DB) Info(ctx context.Context) (Info, error) { return Info{}, errors.ErrUnsupported }

// Members returns the members and the ids of those removed.
func (db *DB) Members() (members []Member, removed []uint64, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Alarms returns the raised alarms.
func (db *DB) Alarms() ([]Alarm, error) { return nil, errors.ErrUnsupported }

// Hash is the answer of `etcdctl endpoint hashkv`, under the same names.
type Hash struct {
	Hash            uint32 `json:"hash"`
	HashRevision    int64  `json:"hash_revision"`
	CompactRevision int64  `json:"compact_revision"` // -1: nothing was compacted
}

// Problem is something that reading survives and an operator has to know.
type Problem struct {
	Code   ProblemCode `json:"code"`
	Detail string      `json:"detail"`
}

// ProblemCode is the kind of a Problem, stable for machines.
type ProblemCode string

// Info is what the file says of itself. A field that the writing etcd did not
// know yet stays empty.
type Info struct {
	Size          int64 `json:"dbSize"`      // bytes of all pages, as etcdctl counts them
	SizeInUse     int64 `json:"dbSizeInUse"` // Size less the free pages
	FileSize      int64 `json:"fileSize"`    // bytes on disk, with preallocated space and trailer
	PageSize      int64 `json:"pageSize"`
	Pages         int64 `json:"pages"`
	FreePages     int64 `json:"freePages"`
	OnlyValidMeta bool  `json:"onlyValidMeta,omitempty"` // the other of the two meta pages is invalid: no older state to fall back to

	Revision         int64 `json:"revision"`
	CompactRevision  int64 `json:"compactRevision"`            // -1: nothing was compacted
	ScheduledCompact int64 `json:"scheduledCompact,omitempty"` // newest compaction asked for
	FinishedCompact  int64 `json:"finishedCompact,omitempty"`  // newest compaction carried out

	Records    int64 `json:"records"`    // revisions stored, tombstones included
	Tombstones int64 `json:"tombstones"` // of them, deletions
	LiveKeys   int64 `json:"liveKeys"`   // keys alive at Revision

	RaftIndex      uint64 `json:"raftIndex"`
	RaftTerm       uint64 `json:"raftTerm,omitempty"`       // since etcd 3.5
	ClusterVersion string `json:"clusterVersion,omitempty"` // since etcd 3.5
	StorageVersion string `json:"storageVersion,omitempty"` // since etcd 3.6

	Leases      int64 `json:"leases"`
	AuthEnabled bool  `json:"authEnabled"`
}

// Member is a member of the cluster, as `etcdctl member list` shows it.
type Member struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"` // "" until the member has started once
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner,omitempty"`
}

// Alarm is a raised alarm, as `etcdctl alarm list` shows it.
type Alarm struct {
	MemberID uint64 `json:"memberID"`
	Alarm    string `json:"alarm"` // NOSPACE, CORRUPT, or a number that the linked etcd does not know
}
