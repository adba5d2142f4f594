package quorum

import (
	"encoding/binary"
	"maps"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
)

// What a log entry asks for. An entry is one of these bytes and uvarints.
const (
	opPut     = 'p' // id, key, bytes
	opAlarm   = 'a' // id: NOSPACE is raised
	opDisarm  = 'd' // id
	opCompact = 'c' // id
	opPublish = 's' // 0, member, how often it was started: EtcdServer.publish
)

// registers is how many keys the load writes; probeKey is beside them, so that
// the load's history is complete.
const (
	registers = 64
	probeKey  = registers
)

// listed is a member as the membership store holds it.
type listed struct {
	learner, started bool
}

// emptySize is what a database takes up with nothing in it: bbolt's pages, and
// the buckets of etcd's schema.
const emptySize = 64 << 10

// machine is what a member has applied: a key-value store without values.
type machine struct {
	applied  uint64
	revision uint64
	// compacted is the revision of the last compaction; a restore that bumps the
	// revision marks all before it as compacted.
	compacted uint64
	hash      uint64                // over all puts in order
	keys      [registers + 1]uint64 // the newest write of each key
	writes    bitset                // every write ever applied
	sizes     [registers + 1]int64  // of the newest value of each key: what a compaction leaves
	used      int64                 // bytes of all revisions since the last compaction, and of those it left
	size      int64                 // of the file: it grows only, until it is defragmented
	noSpace   bool
	members   map[uint64]listed
	removed   map[uint64]bool
}

func newMachine() *machine {
	return &machine{revision: 1, used: emptySize, size: emptySize, members: map[uint64]listed{}, removed: map[uint64]bool{}}
}

func (m *machine) clone() *machine {
	c := *m
	c.writes = slices.Clone(m.writes)
	c.members, c.removed = maps.Clone(m.members), maps.Clone(m.removed)
	return &c
}

// confState is the membership as raft wants it.
func (m *machine) confState() *pb.ConfState {
	cs := &pb.ConfState{}
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		if m.members[id].learner {
			cs.Learners = append(cs.Learners, id)
		} else {
			cs.Voters = append(cs.Voters, id)
		}
	}
	return cs
}

// voters are the voting members' ids, ascending.
func (m *machine) voters() []uint64 { return m.confState().GetVoters() }

// command is a decoded entry.
type command struct {
	op         byte
	id         uint64 // of the request, 0 for none
	arg, bytes uint64
}

func (c command) encode() []byte {
	out := make([]byte, 1, 16)
	out[0] = c.op
	out = binary.AppendUvarint(out, c.id)
	out = binary.AppendUvarint(out, c.arg)
	return binary.AppendUvarint(out, c.bytes)
}

func decodeCommand(data []byte) command {
	c := command{op: data[0]}
	data = data[1:]
	for _, field := range []*uint64{&c.id, &c.arg, &c.bytes} {
		v, n := binary.Uvarint(data)
		*field, data = v, data[n:]
	}
	return c
}

// apply carries out a committed command; false is a refusal. Alarms are obeyed where the request
// comes in and here: what was proposed before the alarm is refused after it
// (apply/uber_applier.go, applierV3Capped).
func (m *machine) apply(c command) (ok bool) {
	switch c.op {
	case opPut:
		if m.noSpace {
			return false
		}
		m.revision++
		m.hash = mix(mix(m.hash, c.id), c.arg)
		m.keys[c.arg%(registers+1)] = c.id
		m.writes.set(c.id)
		m.sizes[c.arg%(registers+1)] = int64(c.bytes)
		m.used += int64(c.bytes)
		m.size = max(m.size, m.used) // what a compaction freed is used first
	case opAlarm:
		m.noSpace = true
	case opDisarm:
		m.noSpace = false
	case opCompact:
		if m.revision <= m.compacted {
			return false // mvcc/kvstore.go, updateCompactRev
		}
		m.compact()
	case opPublish:
		if member, ok := m.members[c.arg]; ok {
			member.started = true
			m.members[c.arg] = member
		}
	}
	return true
}

// digest is a hash over all that members agree on.
func (m *machine) digest() uint64 {
	h := mix(mix(mix(m.hash, m.revision), m.compacted), uint64(m.used))
	if m.noSpace {
		h = mix(h, 1)
	}
	for _, id := range slices.Sorted(maps.Keys(m.members)) {
		h = mix(h, id<<1)
		if m.members[id].learner {
			h = mix(h, 1)
		}
	}
	return h | 1 // never 0
}

// compact drops all history: what is left is the newest value of each key.
func (m *machine) compact() {
	m.compacted, m.used = m.revision, emptySize
	for _, bytes := range m.sizes {
		m.used += bytes
	}
}

// bitset is a set of small numbers, one bit each.
type bitset []uint64

func (b *bitset) set(n uint64) {
	word := int(n / 64)
	for len(*b) <= word {
		*b = append(*b, 0)
	}
	(*b)[word] |= 1 << (n % 64)
}

// mix folds v into the hash h (the finalizer of splitmix64).
func mix(h, v uint64) uint64 {
	h ^= v + 0x9e3779b97f4a7c15 + h<<6 + h>>2
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
