package sim

// The values of a drill file's first two lines. A card has no engine, no steps
// and no verdict: it says what stops and what goes on.
const (
	APIVersion = "lifeboat/v1"
	KindDrill  = "Drill"
	KindCard   = "Card"
)

// Scenario is a drill file. Load makes them.
type Scenario struct {
	Name     string       `json:"name"` // the file's name without its ending
	Kind     string       `json:"kind"`
	Title    string       `json:"title"`
	Why      string       `json:"why,omitempty"`
	Document string       `json:"document,omitempty"` // the paragraph of the operators' document that it rehearses
	Engines  []EngineName `json:"engine,omitempty"`
	Seeds    Range        `json:"seeds,omitzero"` // of the virtual engine
	Given    Given        `json:"given,omitzero"`

	Steady []Expectation `json:"steady,omitempty"` // before the first step, and after the last
	Steps  []Step        `json:"steps,omitempty"`  // in the order they run
	Always []Invariant   `json:"always,omitempty"`
	Stop   Duration      `json:"stopWhen,omitzero"` // the run is aborted at this time

	Measure Measure `json:"measure,omitzero"`
	Expect  Targets `json:"expect,omitzero"`

	// Of a card.
	Stops  []string `json:"stops,omitempty"`
	GoesOn []string `json:"goesOn,omitempty"`

	// Digest is the SHA-256 of the file, in hex.
	Digest string `json:"sha256"`
}

// Range is a range of seeds, both ends in it.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Given is the cluster that a drill starts with.
type Given struct {
	Members  int      `json:"members,omitzero"`   // voters, 1 to 9
	Learners int      `json:"learners,omitempty"` // 0 or 1: etcd allows one
	Tick     Duration `json:"tick,omitzero"`      // etcd's --heartbeat-interval, default 100ms
	Election Duration `json:"election,omitzero"`  // etcd's --election-timeout, default 1s
	Latency  Duration `json:"latency,omitzero"`   // one way, default 1ms; the virtual engine's
	Spread   Duration `json:"spread,omitzero"`    // added at random, 0 to this; the virtual engine's
	Sync     Duration `json:"sync,omitzero"`      // a disk's sync, default 1ms; the virtual engine's
	Load     Workload `json:"load,omitzero"`
	Quota    int64    `json:"quota,omitempty"` // bytes, 0 is etcd's default
	// PreVote is etcd's default; off shows what it is good for.
	PreVote bool `json:"preVote,omitzero"`
	// Backup is a path that the caller opens: the members start from its data.
	Backup string `json:"backup,omitempty"`
	// Snapshot is where the caller put the backup's database, opened and
	// checked; only engines that can read one use it.
	Snapshot string `json:"-"`
	// Objects are the Kubernetes objects in Snapshot, but for those that go by
	// themselves (Events and whatever else hangs on a lease).
	Objects []Object `json:"-"`
	// Always are the drill's invariants: the caller copies them here. A cluster
	// checks those it can and says which in Cluster.Checked.
	Always []Invariant `json:"-"`
}

// Object is a Kubernetes object in a backup, as the caller names it. Drills know
// no more of it.
type Object struct {
	Key       string // in etcd
	Namespace string // "" when it has none
	Name      string // for people: "configmaps infra-production/flip"
	Size      int    // bytes of its value
}

// Workload is what clients do all the time. On a backup, each write also writes
// an object again as it is, as a controller's update would.
type Workload struct {
	Writes  int `json:"writes"`  // per second, all clients together
	Reads   int `json:"reads"`   // linearizable reads per second
	Clients int `json:"clients"` // default 4
}

// Step is one line of `steps`.
type Step struct {
	Name string `json:"name"`
	// At is when it runs; nil is as soon as the one before it has ended.
	At    *Duration `json:"at,omitempty"`
	After string    `json:"after,omitempty"` // the step that has to have ended
	Wait  Duration  `json:"wait,omitzero"`   // that long after it

	Do     []Action      `json:"do,omitempty"`
	Expect []Expectation `json:"expect,omitempty"`

	line int
}

// LastAction is the index of the action that the step's expectation speaks of: the
// last one that does more than wait; -1 when there is none.
func (s Step) LastAction() int {
	for i := len(s.Do) - 1; i >= 0; i-- {
		if s.Do[i].Verb != Wait {
			return i
		}
	}
	return -1
}

// Measure says what is timed.
type Measure struct {
	From  string `json:"from,omitempty"`  // the step that breaks things; its start
	Until string `json:"until,omitempty"` // "steady", or the step that ends it; its end
	RPO   bool   `json:"rpo,omitempty"`   // acknowledged writes that are lost
}

// Targets are the numbers that the run is held to.
type Targets struct {
	RTO *Duration `json:"rto,omitempty"` // at most
	RPO *int      `json:"rpo,omitempty"` // acknowledged writes lost, at most
}

// Invariant names what holds after every event.
type Invariant string

// The invariants. Raft's are those of etcdraft.tla in go.etcd.io/raft.
const (
	OneLeaderPerTerm   Invariant = "one-leader-per-term"
	LogMatching        Invariant = "log-matching"
	LeaderCompleteness Invariant = "leader-completeness"
	CommittedAgree     Invariant = "committed-agree"      // no two members apply different entries at an index
	CommitOnQuorum     Invariant = "commit-on-quorum"     // what is committed stands on the disks of a majority
	AckedWritesSurvive Invariant = "acked-writes-survive" // RPO 0 at every moment
	AppliedMonotone    Invariant = "applied-monotone"     // no member's applied index goes back
	StatesAgree        Invariant = "states-agree"         // members that have applied up to the same index have equal states
	Linearizable       Invariant = "linearizable"         // judged at the end, by porcupine
)
