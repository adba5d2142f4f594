package quorum

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// snapshotEvery is etcd's --snapshot-count (etcdserver/server.go,
// DefaultSnapshotCount). etcd leaves 5,000 entries for slow followers; here the
// log goes back to the snapshot before the newest, whose state is at hand.
const snapshotEvery = 10_000

// disk is what a member has written: the log, and a chain of hashes beside it
// that makes two logs comparable at one index.
//
// A write-ahead log is only synced with entries, votes and terms: a commit
// index alone waits in a buffer (raft.MustSync), so a killed member comes back
// with synced, not with the newest commit.
type disk struct {
	storage *raft.MemoryStorage
	chain   []uint64 // chain[i] is of the entry first+i; chain[0] of the snapshot
	first   uint64
	hard    *pb.HardState // newest, perhaps in a buffer
	synced  *pb.HardState // what a kill leaves
	floor   snapshotState // at first
	base    snapshotState // at the storage's snapshot: what followers get
	backend uint64        // applied index of the backend's last batch
	size    int64         // of the database's file, which outlives the process: no log says it
}

// snapshotState is what a snapshot stands for. handle is what its bytes say
// when it travels.
type snapshotState struct {
	state  *machine
	chain  uint64
	term   uint64
	handle uint64
}

// newDisk is a disk that starts from a state, as restored dirs do: a snapshot
// with nothing behind it. At index 0 it is an empty disk.
func newDisk(base snapshotState) (*disk, error) {
	d := &disk{size: base.state.size}
	d.hard = &pb.HardState{Term: new(base.term), Vote: new(uint64), Commit: new(base.state.applied)}
	d.synced = d.hard
	return d, d.reset(base)
}

// reset makes base all that is on the disk.
func (d *disk) reset(base snapshotState) error {
	d.storage, d.chain = raft.NewMemoryStorage(), []uint64{base.chain}
	d.first, d.floor, d.base, d.backend = base.state.applied, base, base, base.state.applied
	if d.first > 0 {
		if err := d.storage.ApplySnapshot(base.message()); err != nil {
			return err
		}
	}
	return d.storage.SetHardState(d.hard)
}

// install takes a snapshot under a running raft node, which keeps the storage.
func (d *disk) install(base snapshotState) error {
	d.chain, d.first, d.floor, d.base, d.backend = []uint64{base.chain}, base.state.applied, base, base, base.state.applied
	return d.storage.ApplySnapshot(base.message())
}

func (s snapshotState) message() *pb.Snapshot {
	return &pb.Snapshot{
		Metadata: &pb.SnapshotMetadata{Index: new(s.state.applied), Term: new(s.term), ConfState: s.state.confState()},
		Data:     binary.LittleEndian.AppendUint64(nil, s.handle),
	}
}

// last is the index of the newest entry.
func (d *disk) last() uint64 { return d.first + uint64(len(d.chain)) - 1 }

// at is the chain hash at an index; ok is false outside the log.
func (d *disk) at(index uint64) (hash uint64, ok bool) {
	if index < d.first || index > d.last() {
		return 0, false
	}
	return d.chain[index-d.first], true
}

// append writes entries, which replace what stands at their indexes and above.
func (d *disk) append(entries []*pb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	first := entries[0].GetIndex()
	if first <= d.first { // below the snapshot: known to be equal
		entries = entries[min(uint64(len(entries)), d.first+1-first):]
		if len(entries) == 0 {
			return nil
		}
		first = entries[0].GetIndex()
	}
	d.chain = d.chain[:first-d.first]
	hash := d.chain[len(d.chain)-1]
	for _, e := range entries {
		hash = chainOf(hash, e)
		d.chain = append(d.chain, hash)
	}
	return d.storage.Append(entries)
}

// chainOf is the hash of a log up to and including e.
func chainOf(before uint64, e *pb.Entry) uint64 {
	hash := mix(mix(before, e.GetIndex()), e.GetTerm()<<2|uint64(e.GetType()))
	data := e.GetData()
	for len(data) >= 8 {
		hash = mix(hash, binary.LittleEndian.Uint64(data))
		data = data[8:]
	}
	tail := uint64(len(data))
	for _, b := range data {
		tail = tail<<8 | uint64(b)
	}
	return mix(hash, tail)
}

// compact makes next the snapshot, and drops the log up to the one before.
func (d *disk) compact(next snapshotState) error {
	snap := next.message()
	if _, err := d.storage.CreateSnapshot(next.state.applied, snap.GetMetadata().GetConfState(), snap.GetData()); err != nil {
		return err
	}
	if keep := d.base.state.applied; keep > d.first {
		if err := d.storage.Compact(keep); err != nil {
			return err
		}
		d.chain = append([]uint64(nil), d.chain[keep-d.first:]...)
		d.first, d.floor = keep, d.base
	}
	d.base = next
	return nil
}

// truncate forgets the newest entries: what a disk does that had not synced
// what it said it had.
func (d *disk) truncate(entries int) error {
	last := d.last() - min(uint64(entries), d.last()-d.first)
	return d.cut(last)
}

// cut keeps the log up to index last. MemoryStorage cannot shrink, so a new one
// takes what is kept.
func (d *disk) cut(last uint64) error {
	kept, err := d.entries(d.first+1, last)
	if err != nil {
		return err
	}
	backend, chain := min(d.backend, last), d.chain[:last-d.first+1]
	if err := d.reset(d.floor); err != nil {
		return err
	}
	d.backend, d.chain = backend, chain
	return d.storage.Append(kept)
}

func (d *disk) entries(from, to uint64) ([]*pb.Entry, error) {
	if to < from {
		return nil, nil
	}
	return d.storage.Entries(from, to+1, 1<<62)
}
