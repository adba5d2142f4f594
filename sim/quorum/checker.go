package quorum

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/lifeboat-dr/lifeboat/sim"
)

// Checker holds what happened in a cluster to the invariants. It sees recorded
// events alone and knows of no cluster: the same events always give the same
// verdict.
//
// Logs are compared by chained hashes: equal hashes at an index are equal logs
// up to there, so each invariant costs one comparison per event.
type Checker struct {
	held      []sim.Invariant
	histories []*history
	members   map[string]*observed
	acked     bitset
}

// Kind is what happened.
type Kind string

// The kinds of events, and which fields beside At and Member they carry.
const (
	Appended  Kind = "append"    // Entries are on the disk, in the place of what stood there and behind
	Installed Kind = "install"   // a snapshot is all that the disk holds, up to Index with Chain; Hash
	Truncated Kind = "truncate"  // the log ends at Index now
	Parted    Kind = "part"      // a new lineage begins here: force-new-cluster, rebuild, restore
	Joined    Kind = "join"      // a new member, of the lineage of Of
	Restarted Kind = "restart"   // it applies again from Index on, where its state has Hash
	Led       Kind = "lead"      // it leads Term
	Committed Kind = "commit"    // as leader of Term it takes all up to Index for committed; Voters
	Applied   Kind = "apply"     // the entry at Index; Hash is of the state behind it
	TookOver  Kind = "take-over" // as leader of Term it has applied an entry of that term; Writes
	Acked     Kind = "ack"       // a client was told that Write is done
)

// Event is something that an invariant depends on.
type Event struct {
	At     time.Duration
	Kind   Kind
	Member string

	Term, Index, Chain uint64
	Entries            []Entry
	Voters             []string // of the member's configuration
	Hash               uint64
	Write              uint64
	Writes             []uint64 // bit set of all writes in the member's state
	Of                 string
}

// Entry is one of a log. Chain is the hash of the log up to it.
type Entry struct{ Index, Term, Chain uint64 }

// observed is a member as its events show it.
type observed struct {
	lineage int
	first   uint64 // index of the snapshot under the log
	chain   []uint64
	applied uint64 // 0: not known
}

// history is what all members of one lineage have to agree on. A lineage is a
// stretch in which raft promises anything.
type history struct {
	leaders map[uint64]string   // by term
	log     map[position]uint64 // hash of the log up to an entry
	floor   uint64              // positions below are forgotten
	newest  uint64
	commits []commit          // committed logs by the term that committed, ascending
	applied map[uint64]uint64 // hash of the log at applied indexes
	states  map[uint64]uint64 // hash of the state at applied indexes
}

type position struct{ index, term uint64 }

// commit is the longest prefix known to be committed in a term.
type commit struct{ term, index, chain uint64 }

// remembered is how many entries a history goes back: logs are no longer.
const remembered = 3 * snapshotEvery

func newHistory() *history {
	return &history{leaders: map[uint64]string{}, log: map[position]uint64{}, applied: map[uint64]uint64{}, states: map[uint64]uint64{}}
}

// NewChecker holds to the invariants given. Linearizable is not one of them: it
// is judged at the end.
func NewChecker(held []sim.Invariant) *Checker {
	return &Checker{held: slices.Clone(held), histories: []*history{newHistory()}, members: map[string]*observed{}}
}

// Observe takes the next event. The error is a *sim.InvariantError; what comes
// after one says nothing.
func (c *Checker) Observe(e Event) error {
	m := c.members[e.Member]
	if m == nil {
		m = &observed{chain: []uint64{0}}
		c.members[e.Member] = m
	}
	switch e.Kind {
	case Appended:
		return c.appended(m, e)
	case Installed:
		m.first, m.chain, m.applied = e.Index, []uint64{e.Chain}, e.Index
		return c.state(m, e)
	case Truncated:
		if e.Index >= m.first && e.Index-m.first < uint64(len(m.chain)) {
			m.chain = m.chain[:e.Index-m.first+1]
		}
	case Parted:
		c.histories = append(c.histories, newHistory())
		m.lineage, m.applied = len(c.histories)-1, 0
	case Joined:
		if of := c.members[e.Of]; of != nil {
			m.lineage = of.lineage
		}
	case Restarted:
		m.applied = 0
		return c.state(m, e)
	case Led:
		return c.led(m, e)
	case Committed:
		return c.committed(m, e)
	case Applied:
		return c.appliedEntry(m, e)
	case TookOver:
		if lost := c.missing(e.Writes); lost > 0 {
			return c.broke(sim.AckedWritesSurvive, e, "leads term %d without %d acknowledged writes", e.Term, lost)
		}
	case Acked:
		c.acked.set(e.Write)
	}
	return nil
}

func (c *Checker) broke(name sim.Invariant, e Event, format string, args ...any) error {
	if !slices.Contains(c.held, name) {
		return nil
	}
	return &sim.InvariantError{Name: name, At: e.At, Detail: e.Member + " " + fmt.Sprintf(format, args...)}
}

func (m *observed) at(index uint64) (chain uint64, ok bool) {
	if index < m.first || index-m.first >= uint64(len(m.chain)) {
		return 0, false
	}
	return m.chain[index-m.first], true
}

// appended holds log-matching: entries with the same index and term are at the
// end of the same log.
func (c *Checker) appended(m *observed, e Event) error {
	h := c.histories[m.lineage]
	for _, entry := range e.Entries {
		if entry.Index <= m.first || entry.Index-m.first > uint64(len(m.chain)) {
			continue // below the snapshot: known to be equal
		}
		m.chain = append(m.chain[:entry.Index-m.first], entry.Chain)
		at := position{entry.Index, entry.Term}
		if known, seen := h.log[at]; !seen {
			h.log[at] = entry.Chain
		} else if known != entry.Chain {
			return c.broke(sim.LogMatching, e, "has another log up to index %d, term %d", at.index, at.term)
		}
		h.newest = max(h.newest, at.index)
	}
	h.forget()
	if extra := len(m.chain) - remembered; extra > remembered { // in large steps: each copies what is left
		m.first, m.chain = m.first+uint64(extra), slices.Clone(m.chain[extra:])
	}
	return nil
}

// forget drops what no log holds any more.
func (h *history) forget() {
	if h.newest < h.floor+2*remembered {
		return
	}
	h.floor = h.newest - remembered
	for at := range h.log { // order does not matter: nothing is drawn or hashed
		if at.index < h.floor {
			delete(h.log, at)
		}
	}
	for _, known := range []map[uint64]uint64{h.applied, h.states} {
		for index := range known {
			if index < h.floor {
				delete(known, index)
			}
		}
	}
}

// led holds one-leader-per-term and leader-completeness: a leader's log holds all
// that was committed in earlier terms.
func (c *Checker) led(m *observed, e Event) error {
	h := c.histories[m.lineage]
	if other, ok := h.leaders[e.Term]; ok && other != e.Member {
		if err := c.broke(sim.OneLeaderPerTerm, e, "leads term %d, and so does %s", e.Term, other); err != nil {
			return err
		}
	}
	h.leaders[e.Term] = e.Member
	for _, committed := range h.commits {
		if committed.term >= e.Term || committed.index < m.first {
			continue
		}
		if chain, ok := m.at(committed.index); !ok || chain != committed.chain {
			return c.broke(sim.LeaderCompleteness, e, "leads term %d without what term %d committed up to index %d", e.Term, committed.term, committed.index)
		}
	}
	return nil
}

// committed holds commit-on-quorum: what a leader takes for committed is on the
// disks of a majority of its configuration.
func (c *Checker) committed(m *observed, e Event) error {
	chain, ok := m.at(e.Index)
	if !ok {
		return nil
	}
	have := 0
	for _, voter := range e.Voters {
		other := c.members[voter]
		if other == nil {
			continue
		}
		if got, ok := other.at(e.Index); ok && got == chain || e.Index < other.first {
			have++
		}
	}
	if have < len(e.Voters)/2+1 {
		if err := c.broke(sim.CommitOnQuorum, e, "took index %d for committed, and %d of %d voters hold it", e.Index, have, len(e.Voters)); err != nil {
			return err
		}
	}
	h := c.histories[m.lineage]
	if n := len(h.commits); n > 0 && h.commits[n-1].term == e.Term {
		if e.Index > h.commits[n-1].index {
			h.commits[n-1].index, h.commits[n-1].chain = e.Index, chain
		}
	} else if n == 0 || h.commits[n-1].term < e.Term {
		h.commits = append(h.commits[max(0, n-63):], commit{e.Term, e.Index, chain})
	}
	return nil
}

// appliedEntry holds applied-monotone, committed-agree and states-agree.
func (c *Checker) appliedEntry(m *observed, e Event) error {
	if m.applied > 0 && e.Index != m.applied+1 {
		if err := c.broke(sim.AppliedMonotone, e, "applied index %d after %d", e.Index, m.applied); err != nil {
			return err
		}
	}
	m.applied = e.Index
	h := c.histories[m.lineage]
	if chain, ok := m.at(e.Index); ok {
		if known, seen := h.applied[e.Index]; !seen {
			h.applied[e.Index] = chain
		} else if known != chain {
			return c.broke(sim.CommittedAgree, e, "applied another log up to index %d", e.Index)
		}
	}
	return c.state(m, e)
}

// state holds states-agree: members that have applied up to the same index have
// the same state. An event without a hash says nothing of it.
func (c *Checker) state(m *observed, e Event) error {
	h := c.histories[m.lineage]
	if e.Hash == 0 || e.Index < h.floor {
		return nil
	}
	if known, seen := h.states[e.Index]; !seen {
		h.states[e.Index] = e.Hash
	} else if known != e.Hash {
		return c.broke(sim.StatesAgree, e, "has another state at index %d", e.Index)
	}
	return nil
}

// missing counts the acknowledged writes that are not among those given.
func (c *Checker) missing(writes []uint64) (n int) {
	for word, acked := range c.acked {
		if word < len(writes) {
			acked &^= writes[word]
		}
		n += bits.OnesCount64(acked)
	}
	return n
}
