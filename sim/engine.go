package sim

import (
	"context"
	"errors"
	"time"
)

// EngineName names an engine in a drill's `engine:` list.
type EngineName string

// The engines.
const (
	Virtual  EngineName = "virtual"  // go.etcd.io/raft in virtual time, seeded
	Embedded EngineName = "embedded" // real etcd members, real seconds
)

// Errors that the parts of a drill are told by.
var (
	// ErrUnsupported: the engine cannot do or measure what it was asked for.
	ErrUnsupported = errors.New("this engine cannot do that")
	// ErrInvariant: an invariant is broken. InvariantError carries which.
	ErrInvariant = errors.New("invariant broken")
)

// InvariantError is a broken invariant: what was seen, and when.
type InvariantError struct {
	Name   Invariant     // which one
	At     time.Duration // since the start of the cluster
	Detail string        // for people: members, terms, indexes
}

func (e *InvariantError) Error() string {
	return "invariant " + string(e.Name) + " broken at " + e.At.String() + ": " + e.Detail
}

// Is makes every InvariantError an ErrInvariant.
func (e *InvariantError) Is(target error) bool { return target == ErrInvariant }

// Engine starts clusters. Its methods may be called from one goroutine.
type Engine interface {
	Name() EngineName

	// Start brings up a cluster as given describes it and returns as soon as
	// its members run; a leader is not waited for. Members are named m1, m2 and
	// so on, voters first. The background load runs from the first leader on.
	// Everything that is random hangs on seed, as far as the engine is able to.
	// Cluster.Close has to be called.
	Start(ctx context.Context, given Given, seed uint64) (Cluster, error)
}

// Cluster is a running cluster. Its clock starts at 0 when Start returns, and
// all times are on it. Calls come from one goroutine; the clock of an engine in
// virtual time moves only inside of calls.
//
// Where a method reaches the cluster as a client would, its error has the text
// that etcd's client would show ("etcdserver: unhealthy cluster", "context
// deadline exceeded"); drills compare texts. Errors of the engine itself are
// Fatal: the run is aborted, not judged.
type Cluster interface {
	// Now is the cluster's clock.
	Now() time.Duration

	// Advance lets time pass until the clock shows until; the load goes on. It
	// returns early with an *InvariantError, or a *FatalError, or ctx's error.
	Advance(ctx context.Context, until time.Duration) error

	// Members are all members that the drill ever named, in the order m1, m2,
	// …: dead, removed and joined ones too. It costs no virtual time and asks
	// the members themselves, not the quorum.
	Members() []Member

	// Do carries out one action. Selectors have been resolved: Targets (and
	// Against) hold names. It returns when the action is done or refused; a
	// membership change is done when it is applied.
	Do(ctx context.Context, a Action) error

	// Write puts one probe value through a client that tries the members of on
	// in turn (none: all that run), and waits for the answer at most timeout.
	Write(ctx context.Context, on []string, timeout time.Duration) error

	// Read reads one key from the member on. Linearizable reads need a quorum,
	// serializable ones do not.
	Read(ctx context.Context, on string, linearizable bool, timeout time.Duration) error

	// MemberList is the membership as the member on has applied it.
	MemberList(ctx context.Context, on string) ([]ListedMember, error)

	// Status is the member's own view: no quorum is needed.
	Status(ctx context.Context, on string) (Status, error)

	// Objects counts the Kubernetes objects of a namespace that the backup has
	// (of), and those of them that can be read from the member on. Only a cluster
	// that started from a backup holds any.
	Objects(ctx context.Context, on, namespace string) (read, of int, err error)

	// Checked are the invariants that the run is really held to: those of
	// Given.Always that the engine can see. A report names the others.
	Checked() []Invariant

	// Tally is what the load has seen so far.
	Tally() Tally

	// Events are the timeline so far, oldest first, at most MaxEvents.
	Events() []Event

	// Digest is a hash over everything that happened, equal for equal runs; ""
	// where the engine promises no such thing.
	Digest() string

	// Close ends all members and removes every file and process.
	Close() error
}

// FatalError says that the engine itself cannot go on: nothing is judged.
type FatalError struct{ Err error }

func (e *FatalError) Error() string { return e.Err.Error() }
func (e *FatalError) Unwrap() error { return e.Err }

// Role is what a member is at a moment.
type Role string

// The roles. Down and Removed are not raft's.
const (
	RoleLeader    Role = "leader"
	RoleFollower  Role = "follower"
	RoleCandidate Role = "candidate" // raft's pre-candidates too
	RoleLearner   Role = "learner"
	RoleDown      Role = "down"    // killed, stopped, or added and not started
	RoleRemoved   Role = "removed" // no member any more
)

// Member is one member's state, as itself sees it.
type Member struct {
	Name    string `json:"name"`
	Role    Role   `json:"role"`
	Learner bool   `json:"learner,omitempty"` // in its own configuration, also when it is down
	// Epoch tells the clusters apart that come out of one by force-new-cluster,
	// rebuild and restore: 0 is the first, the newest is the highest. Terms and
	// indexes of two of them do not compare: a restored cluster begins anew.
	Epoch   int    `json:"epoch,omitempty"`
	Term    uint64 `json:"term"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	// Reachable is how many members, itself included, it can talk to both ways.
	Reachable int `json:"reachable"`
}

// Running says whether the member's process lives.
func (m Member) Running() bool { return m.Role != RoleDown && m.Role != RoleRemoved }

// ListedMember is a line of `member list`.
type ListedMember struct {
	Name    string `json:"name"` // as the drill named it
	Learner bool   `json:"learner,omitempty"`
	Started bool   `json:"started"`
}

// Status is what `endpoint status`, `alarm list` and `endpoint hashkv` say.
type Status struct {
	Leader string   // name, "" when the member knows of none
	Term   uint64   // raft term
	Errors []string // "etcdserver: no leader", "memberID:1 alarm:NOSPACE "
	Alarms []string // "NOSPACE", "CORRUPT": cluster-wide, each once
	Hash   uint32   // over all keys, as HashKV at revision 0
	// Revision is the store's; hashes compare at equal revisions only.
	Revision int64
}

// Tally is what the load measured. Lost counts are of the run so far: a write
// is lost when it was acknowledged and the cluster that now stands does not hold
// it. That cluster has a leader that could answer a linearizable read; where
// there is none, nobody can say what is lost, and Lost says nothing.
type Tally struct {
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	Failed       int `json:"failed"`
	Lost         int `json:"lost"`
	// LostKnown says that somebody could be asked, or that there is nothing to lose.
	LostKnown bool `json:"lostKnown"`
	// LostKeys are names of lost writes, at most 20.
	LostKeys []string `json:"lostKeys,omitempty"`
	// Gaps are the stretches without one acknowledged write, oldest first: of at
	// least three heartbeats in virtual time, of ten where clocks are real.
	Gaps []Gap `json:"gaps,omitempty"`
	// Silences are stretches of any length without an acknowledged write, oldest
	// first, each longer than all that follow it: so the longest after any moment
	// is among them.
	Silences []Gap `json:"-"`
	// Buckets are acknowledged and failed writes per second, for the report.
	Buckets []Bucket `json:"buckets,omitempty"`
	// Failures are writes that were refused or not answered, oldest first, at
	// most MaxFailures.
	Failures []Failure `json:"failures,omitempty"`
}

// MaxFailures bounds the failed writes that a run names.
const MaxFailures = 100

// Failure is a write of the load without a good answer: it may have been done
// all the same.
type Failure struct {
	At     Duration `json:"at"`               // of the answer, or of the client's giving up
	Client int      `json:"client"`           // from 1
	Member string   `json:"member,omitempty"` // that was asked, "" where none serves
	Error  string   `json:"error"`            // as the client shows it
}

// AddFailure puts one more behind failures, unless there are enough.
func AddFailure(failures []Failure, f Failure) []Failure {
	if len(failures) < MaxFailures {
		failures = append(failures, f)
	}
	return failures
}

// ObjectLoss is what became of a backup's Kubernetes objects: the cluster that
// stands at the end, against what the drill began with and wrote since.
type ObjectLoss struct {
	Of      int      `json:"of"`                // objects that were looked for
	Lost    []string `json:"lost,omitempty"`    // names of those that are not there
	SetBack []string `json:"setBack,omitempty"` // there, but an acknowledged change of theirs is lost
	Unknown string   `json:"unknown,omitempty"` // why nobody could be asked; then the lists say nothing
}

// Gap is a stretch without acknowledged writes. Until is 0 while it lasts.
type Gap struct {
	From  Duration `json:"from"`
	Until Duration `json:"until"`
}

// AddSilence puts a stretch behind silences that end before it, and drops those
// that are no longer.
func AddSilence(silences []Gap, g Gap) []Gap {
	for n := len(silences); n > 0 && silences[n-1].Until-silences[n-1].From <= g.Until-g.From; n-- {
		silences = silences[:n-1]
	}
	return append(silences, g)
}

// Bucket is one second of load.
type Bucket struct {
	Acknowledged int `json:"ok"`
	Failed       int `json:"failed,omitempty"`
	// Slowest is the longest that an acknowledged write of that second took.
	Slowest Duration `json:"slowest,omitempty"`
}

// MaxEvents bounds a timeline; a longer one ends with an EventTruncated.
const MaxEvents = 5000

// Event is something that happened, for the timeline.
type Event struct {
	At     Duration  `json:"at"`
	Kind   EventKind `json:"kind"`
	Member string    `json:"member,omitempty"`
	Role   Role      `json:"role,omitempty"`   // of EventRole
	Term   uint64    `json:"term,omitempty"`   // of EventRole
	Commit uint64    `json:"commit,omitempty"` // of EventRole
	Text   string    `json:"text,omitempty"`   // of the others, for people
}

// EventKind is the kind of an Event.
type EventKind string

// The kinds of events.
const (
	EventRole      EventKind = "role"      // Member is Role in Term from now on
	EventAction    EventKind = "action"    // the drill did something
	EventLink      EventKind = "link"      // a partition began, or all links are whole again ("healed")
	EventAlarm     EventKind = "alarm"     // raised or disarmed
	EventTruncated EventKind = "truncated" // what follows was not kept
)
