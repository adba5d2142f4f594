package datadir

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// Requests yields the puts and deletions that the log asks for, in its order, up
// to the newest entry that was applied. A Key and Value belong to the receiver.
func (r *Replay) Requests(ctx context.Context) iter.Seq2[snapshot.Request, error] {
	return func(yield func(snapshot.Request, error) bool) {
		for e, err := range r.Survivor.entries(ctx, 0, r.Last) {
			if err != nil {
				yield(snapshot.Request{}, err)
				return
			}
			q := requestOf(e)
			if q == nil {
				continue
			}
			for _, request := range writesOf(q) {
				if request.Entry = e.GetIndex(); !yield(request, nil) {
					return
				}
			}
		}
	}
}

// writesOf are the puts and deletions of a request.
func writesOf(r *pb.InternalRaftRequest) []snapshot.Request {
	switch {
	case r.Put != nil:
		return []snapshot.Request{putRequest(r.Put, snapshot.Always, 0)}
	case r.DeleteRange != nil:
		return []snapshot.Request{{Key: r.DeleteRange.Key, RangeEnd: r.DeleteRange.RangeEnd, Deleted: true}}
	case r.Txn != nil:
		return txnWrites(r.Txn)
	}
	return nil
}

func putRequest(p *pb.PutRequest, c snapshot.Condition, guard int64) snapshot.Request {
	return snapshot.Request{Key: p.Key, Value: p.Value, KeepsValue: p.IgnoreValue, Leased: p.Lease != 0 || p.IgnoreLease, Condition: c, Guard: guard}
}

// txnWrites are those of a transaction. What is done when its comparison fails is
// known as little as what a nested one does.
func txnWrites(t *pb.TxnRequest) (all []snapshot.Request) {
	for branch, ops := range [][]*pb.RequestOp{t.Success, t.Failure} {
		for _, op := range ops {
			var r snapshot.Request
			switch {
			case op.GetRequestPut() != nil:
				r = putRequest(op.GetRequestPut(), snapshot.OnOther, 0)
			case op.GetRequestDeleteRange() != nil:
				d := op.GetRequestDeleteRange()
				r = snapshot.Request{Key: d.Key, RangeEnd: d.RangeEnd, Deleted: true, Condition: snapshot.OnOther}
			case op.GetRequestTxn() != nil:
				for _, nested := range txnWrites(op.GetRequestTxn()) {
					nested.Condition, nested.Guard = snapshot.OnOther, 0
					all = append(all, nested)
				}
				continue
			default:
				continue
			}
			if branch == 0 {
				r.Condition, r.Guard = conditionOf(t.Compare, r.Key)
			}
			all = append(all, r)
		}
	}
	return all
}

// conditionOf reads the comparison that an API server's transactions begin with
// (k8s.io/apiserver storage/etcd3/store.go: ModRevision(key) = revision).
func conditionOf(compares []*pb.Compare, key []byte) (snapshot.Condition, int64) {
	if len(compares) == 0 {
		return snapshot.Always, 0
	}
	c := compares[0]
	if len(compares) > 1 || c.Target != pb.Compare_MOD || c.Result != pb.Compare_EQUAL || len(c.RangeEnd) > 0 || !bytes.Equal(c.Key, key) {
		return snapshot.OnOther, 0
	}
	return snapshot.OnRevision, c.GetModRevision()
}

// Attempts are the requests of the log that are older than what db, the
// result of the replay, can be read at; of the keys for which match
// answers true, in the order of the log. With them are those that db retains of
// that time, for what they prove.
//
// Memory grows with the number of entries, by some 50 bytes each, and with the
// values of the keys that match.
func (r *Replay) Attempts(ctx context.Context, db *snapshot.DB, match func(key []byte) bool) ([]snapshot.Attempt, error) {
	oldest := db.Windows()[0].First
	if oldest <= 1 || r.Survivor.Log.Segments == 0 {
		return nil, nil // nothing was compacted
	}
	all, found, err := r.anchors(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("looking for older requests in the log of %q: %w", r.Survivor.Dir.Path, err)
	}
	end := uint64(math.MaxUint64) // entries from here on are within what db can be read at
	for _, a := range all {
		if a.revision > oldest {
			end = min(end, a.entry)
		}
	}
	byKey := map[string][]*snapshot.Attempt{}
	var attempts []*snapshot.Attempt
	for q, err := range r.Requests(ctx) {
		if err != nil {
			return nil, fmt.Errorf("looking for older requests in the log of %q: %w", r.Survivor.Dir.Path, err)
		}
		if len(q.RangeEnd) > 0 || match != nil && !match(q.Key) {
			continue
		}
		a := &snapshot.Attempt{Request: q, Revision: found.of(q)}
		a.Retained = a.Revision > 0
		byKey[string(q.Key)] = append(byKey[string(q.Key)], a)
		if q.Entry < end {
			attempts = append(attempts, a)
		}
	}
	for _, requests := range byKey {
		keyRequests{all, found.ranges}.prove(requests)
	}
	return bounded(attempts, all, db.Revision()+1), nil
}

// anchor is an entry of which it is known at which revision it was carried out.
type anchor struct {
	entry    uint64
	revision int64
}

// anchors are what log and database have in common, in the order of both.
func (r *Replay) anchors(ctx context.Context, db *snapshot.DB) ([]anchor, *retained, error) {
	found := &retained{seed: maphash.MakeSeed(), at: map[uint64]anchor{}, loose: map[string]bool{}}
	for q, err := range r.Requests(ctx) {
		if err != nil {
			return nil, nil, err
		}
		found.ranges = found.ranges || len(q.RangeEnd) > 0
		if !q.Deleted {
			found.add(q)
		}
	}
	for record, err := range db.Records(ctx, 0) {
		if err != nil {
			return nil, nil, err
		}
		if !record.Deleted {
			found.record(record)
		}
	}
	return found.ascending(), found, nil
}

// retained finds the puts that a database still has, by key and value. A value
// that was put twice tells nothing.
type retained struct {
	seed  maphash.Seed
	at    map[uint64]anchor
	loose map[string]bool // keys with puts that keep the value: it is no sign of who put it

	ranges bool // the log deletes ranges of keys
}

func (f *retained) sum(key, value []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	maphash.WriteComparable(&h, len(key))
	h.Write(key)
	h.Write(value)
	return h.Sum64()
}

// twice stands for a value that two entries put.
const twice = math.MaxUint64

func (f *retained) add(r snapshot.Request) {
	if r.KeepsValue {
		f.loose[string(r.Key)] = true
	}
	sum := f.sum(r.Key, r.Value)
	if _, ok := f.at[sum]; ok {
		f.at[sum] = anchor{entry: twice}
		return
	}
	f.at[sum] = anchor{entry: r.Entry}
}

func (f *retained) record(r snapshot.Record) {
	sum := f.sum(r.Key, r.Value)
	switch a, ok := f.at[sum]; {
	case !ok || a.entry == twice || f.loose[string(r.Key)]:
	case a.revision > 0:
		f.at[sum] = anchor{entry: twice} // another one put it before the log began
	default:
		f.at[sum] = anchor{a.entry, r.Main}
	}
}

// of is the revision of a put, 0 where the database does not have it.
func (f *retained) of(r snapshot.Request) int64 {
	if r.Deleted {
		return 0
	}
	a := f.at[f.sum(r.Key, r.Value)]
	if a.entry != r.Entry {
		return 0
	}
	return a.revision
}

// ascending are the anchors by entry. One whose revision is below an earlier
// one's repeats what was put before the log began, in vain.
func (f *retained) ascending() (all []anchor) {
	for _, a := range f.at {
		if a.revision > 0 {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b anchor) int { return cmp.Compare(a.entry, b.entry) })
	newest := int64(0)
	return slices.DeleteFunc(all, func(a anchor) bool {
		behind := a.revision < newest
		newest = max(newest, a.revision)
		return behind
	})
}

// keyRequests are what is known when the requests of one key are looked at.
type keyRequests struct {
	anchors []anchor
	ranges  bool // the log deletes ranges of keys
}

// prove goes through the requests of one key, in the order of the log, backwards:
// one that was carried out, and had asked for a mod revision, proves that the key
// had it. Who had put that is known where only one of the requests can have.
func (k keyRequests) prove(requests []*snapshot.Attempt) {
	for i := len(requests) - 1; i > 0; i-- {
		r := requests[i]
		if r.Revision == 0 || r.Condition != snapshot.OnRevision || r.Guard == 0 {
			continue
		}
		if w := k.writer(r.Guard, requests[:i]); w != nil {
			w.Revision = r.Guard
		}
	}
}

// writer finds who put a key's revision, among the requests before the one that
// found it; nil where that is not certain.
func (k keyRequests) writer(revision int64, requests []*snapshot.Attempt) *snapshot.Attempt {
	// It was put behind what has a lower revision and before what has a higher one:
	// without the former it may have been before the log began.
	after, known := slices.BinarySearchFunc(k.anchors, revision, func(a anchor, rev int64) int { return cmp.Compare(a.revision, rev) })
	if known || after == 0 {
		return nil
	}
	from, to := k.anchors[after-1], anchor{entry: math.MaxUint64}
	if after < len(k.anchors) {
		to = k.anchors[after]
	}
	candidates, oneLife := []*snapshot.Attempt(nil), !k.ranges
	for _, r := range requests {
		switch {
		case r.Entry <= from.entry || r.Entry >= to.entry:
		case r.Deleted:
			oneLife = false
		default:
			candidates = append(candidates, r)
			oneLife = oneLife && !r.Leased // a lease that ends deletes it
		}
	}
	if len(candidates) == 1 && candidates[0].Revision == 0 {
		return candidates[0]
	}
	return last(revision, from.revision, candidates, oneLife)
}

// last is the one of several puts that was carried out last. Each asked for a
// revision of the key that its client had seen, so none that was carried out
// asked for less than one before it; and of those that asked for the same one the
// first was carried out, if any. One that creates the key asks for none: it came
// first where the key was never deleted, and what the others had seen is of
// behind since. Where anything else is among them, it is not certain.
func last(revision, since int64, candidates []*snapshot.Attempt, oneLife bool) (best *snapshot.Attempt) {
	creates := false
	for _, c := range candidates {
		if c.Condition != snapshot.OnRevision || c.Revision != 0 {
			return nil
		}
		creates = creates || c.Guard == 0
		if c.Guard < revision && (best == nil || c.Guard > best.Guard) {
			best = c
		}
	}
	if creates && best != nil && (!oneLife || best.Guard > 0 && best.Guard <= since) {
		return nil
	}
	return best
}

// bounded says of each attempt which revision came after it.
func bounded(attempts []*snapshot.Attempt, anchors []anchor, before int64) []snapshot.Attempt {
	next := len(anchors)
	all := make([]snapshot.Attempt, len(attempts))
	for i := len(attempts) - 1; i >= 0; i-- {
		a := attempts[i]
		for next > 0 && anchors[next-1].entry > a.Entry {
			next--
			before = min(before, anchors[next].revision)
		}
		a.Before = before
		if a.Revision > 0 {
			before = min(before, a.Revision)
		}
		all[i] = *a
	}
	return all
}
