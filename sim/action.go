package sim

import (
	"slices"
	"strconv"
	"strings"
)

// Verb is what a step does.
type Verb string

// The verbs. What each of them takes stands beside it; `members:` is the
// selectors that a plain value is short for (`kill: leader`).
const (
	Kill            Verb = "kill"              // members: the process dies, what it synced stays
	Stop            Verb = "stop"              // members: an orderly end; a leader hands over first
	Start           Verb = "start"             // members: from the data it has
	Partition       Verb = "partition"         // members against `from` (default: all others), both ways
	OneWay          Verb = "one-way"           // messages of members do not reach `from` (default: all others)
	Isolate         Verb = "isolate"           // each of members on its own
	Heal            Verb = "heal"              // every link whole again; takes nothing
	Delay           Verb = "delay"             // members, `by`: their messages take longer
	Drop            Verb = "drop"              // members, `rate` 0 to 1: their messages get lost
	SlowDisk        Verb = "slow-disk"         // members, `by`: each sync takes longer
	DiskLoss        Verb = "disk-loss"         // members: killed, and their data is gone
	LoseWAL         Verb = "lose-wal-tail"     // members, `entries`: killed, the newest log entries are gone though synced
	AddMember       Verb = "add-member"        // members: new names, voters, not started
	AddLearner      Verb = "add-learner"       // members: new names, learners, not started
	Promote         Verb = "promote"           // members: learners become voters
	Remove          Verb = "remove"            // members
	MoveLeader      Verb = "move-leader"       // members: one, the new leader
	ForceNewCluster Verb = "force-new-cluster" // members: started as etcd does with that flag
	Rebuild         Verb = "rebuild"           // members: one; the whole log kept, a new cluster, `bump-revision`
	Restore         Verb = "restore"           // members: one; a new cluster from the given backup, or from the newest `save`
	Save            Verb = "save"              // members: one; a snapshot to restore from
	Fill            Verb = "fill-to-quota"     // nothing, or `bytes`: writes until NOSPACE is raised, or so much is written
	Compact         Verb = "compact"           // takes nothing: drops history
	Defrag          Verb = "defrag"            // members, in that order, `by`: how long each takes (virtual)
	Disarm          Verb = "disarm"            // takes nothing: all alarms
	RaiseQuota      Verb = "raise-quota"       // members, `bytes`: restarted with a larger quota
	Ambush          Verb = "ambush"            // members: one; it reaches one voter alone, and that one is restarted just after it has voted for it
	ClockPause      Verb = "clock-pause"       // members, `by`: the process stands still that long
	Wait            Verb = "wait"              // `by`: time passes
	LoseNode        Verb = "lose-node"         // names of nodes, or each
	LoseZone        Verb = "lose-zone"         // names of zones, or each
)

// verbFacts say, for each verb, what it takes and who can do it.
type verbFacts struct {
	engines []EngineName
	fields  []string // beside members
	members string   // "", "some", "one", "new", "nodes"
}

func verbs() map[Verb]verbFacts {
	both, virtual, nodes := []EngineName{Virtual, Embedded}, []EngineName{Virtual}, []EngineName{Nodes}
	return map[Verb]verbFacts{
		Kill: {both, nil, "some"}, Stop: {both, nil, "some"}, Start: {both, nil, "some"},
		Partition: {both, []string{"from"}, "some"}, OneWay: {both, []string{"from"}, "some"}, Isolate: {both, nil, "some"}, Heal: {both, nil, ""},
		Delay: {both, []string{"by"}, "some"}, Drop: {both, []string{"rate"}, "some"},
		SlowDisk: {virtual, []string{"by"}, "some"}, LoseWAL: {virtual, []string{"entries"}, "some"}, DiskLoss: {both, nil, "some"},
		AddMember: {both, nil, "new"}, AddLearner: {both, nil, "new"}, Promote: {both, nil, "some"}, Remove: {both, nil, "some"},
		MoveLeader: {both, nil, "one"}, ForceNewCluster: {both, nil, "some"}, Rebuild: {both, []string{"bump-revision"}, "one"},
		Restore: {both, []string{"bump-revision"}, "one"}, Save: {both, nil, "one"},
		Fill: {both, []string{"bytes"}, ""}, Compact: {both, nil, ""}, Defrag: {both, []string{"by"}, "some"}, Disarm: {both, nil, ""},
		Ambush: {virtual, nil, "one"}, LoseNode: {nodes, nil, "nodes"}, LoseZone: {nodes, nil, "nodes"},
		RaiseQuota: {both, []string{"bytes"}, "some"}, ClockPause: {both, []string{"by"}, "some"}, Wait: {both, []string{"by"}, ""},
	}
}

// Can says whether an engine has the verb at all. What it then cannot do in the
// given case it answers with ErrUnsupported.
func (v Verb) Can(engine EngineName) bool { return slices.Contains(verbs()[v].engines, engine) }

// Action is one thing done to the cluster. When it reaches a Cluster, Targets
// and Against hold members' names.
type Action struct {
	Verb    Verb       `json:"verb"`
	Targets []Selector `json:"targets,omitempty"`
	Against []Selector `json:"against,omitempty"` // `from`: the other side of a cut
	By      Duration   `json:"by,omitzero"`
	Rate    float64    `json:"rate,omitempty"`    // of lost messages, 0 to 1
	Entries int        `json:"entries,omitempty"` // of the log that a disk forgets
	Bytes   int64      `json:"bytes,omitempty"`   // of the quota; of a fill, at most
	// BumpRevision leaves room above the old revisions for watchers that had
	// seen further (etcdutl's --bump-revision with --mark-compacted). The
	// default is true, as it is for `lifeboat etcd restore`.
	BumpRevision *bool `json:"bumpRevision,omitempty"`

	line int
}

// Names are the targets as plain strings.
func (a Action) Names() []string { return names(a.Targets) }

// AgainstNames are the members on the other side as plain strings.
func (a Action) AgainstNames() []string { return names(a.Against) }

func names(selectors []Selector) []string {
	out := make([]string, len(selectors))
	for i, s := range selectors {
		out[i] = string(s)
	}
	return out
}

// String is the action for a report: "kill m1, m2".
func (a Action) String() string {
	text := string(a.Verb)
	if len(a.Targets) > 0 {
		text += " " + strings.Join(a.Names(), ", ")
	}
	if len(a.Against) > 0 {
		text += " from " + strings.Join(a.AgainstNames(), ", ")
	}
	switch {
	case a.By > 0 && a.Verb == Wait:
		text += " " + a.By.String()
	case a.By > 0:
		text += " by " + a.By.String()
	}
	if a.Bytes > 0 {
		text += " (" + strconv.FormatInt(a.Bytes, 10) + " bytes)"
	}
	return text
}
