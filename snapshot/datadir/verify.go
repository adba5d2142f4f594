package datadir

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"go.etcd.io/etcd/server/v3/storage/backend"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// print is a fingerprint of the living keys, their values, revisions and
// leases, in whatever order they come.
type print struct {
	keys int64
	sum  uint64
}

// seed makes the fingerprints of one process comparable.
var seed = maphash.MakeSeed()

// fingerprint reads a revision, 0 for the newest, without the keys in except.
func fingerprint(ctx context.Context, r snapshot.Reader, rev int64, except [][]byte) (print, error) {
	skip := make(map[string]bool, len(except))
	for _, key := range except {
		skip[string(key)] = true
	}
	var p print
	var h maphash.Hash
	h.SetSeed(seed)
	for kv, err := range r.At(ctx, rev, func(key []byte) bool { return !skip[string(key)] }) {
		if err != nil {
			return p, err
		}
		h.Reset()
		var numbers [48]byte
		for i, n := range []int64{int64(len(kv.Key)), int64(len(kv.Value)), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease} {
			binary.BigEndian.PutUint64(numbers[8*i:], uint64(n))
		}
		h.Write(numbers[:])
		h.Write(kv.Key)
		h.Write(kv.Value)
		p.keys++
		p.sum += h.Sum64()
	}
	return p, nil
}

// verify holds a data dir that was built against what it should be: the records
// of the source, and what etcd asks of a dir when it starts (etcd
// server/etcdserver/bootstrap.go). It returns the result's HashKV.
func (p *RestorePlan) verify(ctx context.Context, b *memberBuild) (snapshot.Hash, error) {
	l, err := b.dir().Log(ctx)
	if err != nil {
		return snapshot.Hash{}, err
	}
	db, err := snapshot.Open(ctx, b.dir().Database())
	if err != nil {
		return snapshot.Hash{}, err
	}
	defer db.Close()
	s := &Survivor{Dir: b.dir(), Log: l, Database: b.dir().Database()}
	if err := s.read(db); err != nil {
		return snapshot.Hash{}, err
	}
	if err := p.invariants(s); err != nil {
		return snapshot.Hash{}, err
	}
	hash := later(func() (snapshot.Hash, error) { return db.HashKV(ctx, 0) })
	defer hash() //nolint:errcheck // it reads db, which is closed after it
	switch {
	case len(p.opts.Drop) > 0: // etcd may have gone on with a compaction that was cut off
		err = sameKeys(ctx, db, p.db, p.opts.Revision, p.opts.Drop)
	case p.opts.Bump > 0:
		err = sameRecords(ctx, db, p.db, p.opts.Revision, p.NewRevision, rewritten...)
	default:
		err = sameRecords(ctx, db, p.db, p.opts.Revision, 0, rewritten...)
	}
	if err != nil {
		return snapshot.Hash{}, err
	}
	alarms, err := db.Alarms()
	if err != nil {
		return snapshot.Hash{}, err
	}
	if len(alarms) > 0 {
		return snapshot.Hash{}, fmt.Errorf("%d alarms are left", len(alarms))
	}
	return hash()
}

// sameKeys: the living keys of db are those of source at a revision, without
// those in except. It says nothing of the history.
func sameKeys(ctx context.Context, db, source *snapshot.DB, rev int64, except [][]byte) error {
	wanted := later(func() (print, error) { return fingerprint(ctx, source, rev, except) })
	got, err := fingerprint(ctx, db, 0, nil)
	want, sourceErr := wanted()
	if err = errors.Join(err, sourceErr); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the result has %d keys that are not those of the source, which has %d: %w", got.keys, want.keys, snapshot.ErrDamaged)
	}
	return nil
}

// sameRecords: the records of db are those of source with the whole history, up
// to cut if that is not 0; then, if bumped is not 0, one of that revision and
// without a key. No bucket is another but those in rewritten.
func sameRecords(ctx context.Context, db, source *snapshot.DB, cut, bumped int64, rewritten ...backend.Bucket) error {
	more, err := db.BeyondCut(ctx, source, cut)
	if err != nil {
		return err
	}
	switch {
	case bumped == 0 && len(more) == 0:
	case bumped != 0 && len(more) == 1 && more[0].Main == bumped && len(more[0].Key) == 0 && !more[0].Deleted:
	default:
		return fmt.Errorf("the result has %d records beyond those of the source: %w", len(more), snapshot.ErrDamaged)
	}
	changed, err := db.DifferentBuckets(source)
	if err != nil {
		return err
	}
	for _, name := range changed {
		if !slices.ContainsFunc(rewritten, func(b backend.Bucket) bool { return string(b.Name()) == name }) {
			return fmt.Errorf("the result's bucket %q is not that of the source: %w", name, snapshot.ErrDamaged)
		}
	}
	return nil
}

// later starts f beside what comes next; the function that it returns waits for
// the end.
func later[T any](f func() (T, error)) func() (T, error) {
	done := make(chan struct{})
	var result T
	var err error
	go func() {
		defer close(done)
		result, err = f()
	}()
	return func() (T, error) {
		<-done
		return result, err
	}
}

func (p *RestorePlan) invariants(s *Survivor) error {
	last, term := s.Log.Last()
	voters := s.Voters()
	switch i := s.Info; {
	case s.Log.End != "":
		return fmt.Errorf("the log cannot be read %s", s.Log.End)
	case s.Log.Snapshot > i.RaftIndex || i.RaftIndex > last:
		return fmt.Errorf("snapshot %d, database %d and log %d do not fit", s.Log.Snapshot, i.RaftIndex, last)
	case i.RaftTerm > s.Log.Term || term > s.Log.Term:
		return fmt.Errorf("the terms %d, %d and %d of database, entries and log do not fit", i.RaftTerm, term, s.Log.Term)
	case !slices.Contains(voters, s.Log.NodeID):
		return fmt.Errorf("member %x of the log is none of the database's %x", s.Log.NodeID, voters)
	case i.Revision != p.NewRevision:
		return fmt.Errorf("revision %d, want %d", i.Revision, p.NewRevision)
	case i.ClusterVersion != p.ClusterVersion || i.StorageVersion != p.StorageVersion:
		return fmt.Errorf("versions %q and %q, want %q and %q", i.ClusterVersion, i.StorageVersion, p.ClusterVersion, p.StorageVersion)
	}
	return nil
}
