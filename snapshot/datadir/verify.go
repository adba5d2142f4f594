package datadir

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

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

// fingerprint reads the newest revision, without the keys in except.
func fingerprint(ctx context.Context, r snapshot.Reader, except [][]byte) (print, error) {
	skip := make(map[string]bool, len(except))
	for _, key := range except {
		skip[string(key)] = true
	}
	var p print
	var h maphash.Hash
	h.SetSeed(seed)
	for kv, err := range r.At(ctx, 0, func(key []byte) bool { return !skip[string(key)] }) {
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

// verify holds a data dir that was built against what it should be: the keys
// of the source, and what etcd asks of a dir when it starts (etcd
// server/etcdserver/bootstrap.go). It returns the result's HashKV.
func (p *RestorePlan) verify(ctx context.Context, b *memberBuild, source func() (print, error)) (snapshot.Hash, error) {
	s, err := b.dir().Survey(ctx)
	if err != nil {
		return snapshot.Hash{}, err
	}
	if s.DatabaseErr != nil {
		return snapshot.Hash{}, s.DatabaseErr
	}
	if err := p.invariants(s); err != nil {
		return snapshot.Hash{}, err
	}
	db, err := snapshot.Open(ctx, s.Database)
	if err != nil {
		return snapshot.Hash{}, err
	}
	defer db.Close()
	hash := later(func() (snapshot.Hash, error) { return db.HashKV(ctx, 0) })
	defer hash() //nolint:errcheck // it reads db, which is closed after it
	got, err := fingerprint(ctx, db, nil)
	if err != nil {
		return snapshot.Hash{}, err
	}
	want, err := source()
	if err != nil {
		return snapshot.Hash{}, err
	}
	if got != want || got.keys != p.Keys {
		return snapshot.Hash{}, fmt.Errorf("the result has %d keys that are not those of the source, which has %d: %w", got.keys, want.keys, snapshot.ErrDamaged)
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
