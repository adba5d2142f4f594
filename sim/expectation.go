package sim

import "strings"

// Subject is what an expectation looks at.
type Subject string

// The subjects, with what their value may be.
const (
	OnLeader   Subject = "leader"      // exactly-one, none, several, or a member's name
	OnTerm     Subject = "term"        // same, changed: against the start of the step
	OnWrite    Subject = "write"       // ok, fails; `with` is the error's text
	OnRead     Subject = "read"        // serializable, linearizable; `is` ok, fails; `with`
	OnAction   Subject = "action"      // ok, fails; `with`: the step's last action but for waits
	OnMembers  Subject = "members"     // how many voters and learners; `serializable`
	OnVoters   Subject = "voters"      // how many; `serializable`
	OnLearners Subject = "learners"    // how many; `serializable`
	OnStatus   Subject = "status"      // an error of `endpoint status`, or ok
	OnAlarms   Subject = "alarms"      // none, NOSPACE, CORRUPT
	OnHash     Subject = "hash"        // equal: all running voters at the same revision
	OnObjects  Subject = "objects"     // a namespace: all objects that the backup has of it can be read
	OnReadOnly Subject = "read-only"   // true: serializable reads work, writes fail; false: writes work
	OnLost     Subject = "lost"        // acknowledged writes lost: a number, or some
	OnPending  Subject = "pending"     // Pods without a node after a loss: at most so many; `namespace`
	OnBack     Subject = "back-within" // a time: every Pod that was lost is back by then, by itself; `namespace`
	OnRevision Subject = "revision"    // ahead, behind: of what a watcher had seen before the last restore
)

// onPods says whether the subject is for drills that lose nodes.
func (s Subject) onPods() bool { return s == OnPending || s == OnBack }

// Expectation is one line of `expect` or `steady`.
type Expectation struct {
	Subject Subject `json:"subject"`
	Value   string  `json:"value"`
	Is      string  `json:"is,omitempty"`   // ok (default) or fails, of a read
	With    string  `json:"with,omitempty"` // a part of the error's text
	// Namespace is that of the Pods that are looked at, "" for all.
	Namespace string `json:"namespace,omitempty"`
	// Serializable asks one member for the list that it has, whatever the quorum
	// knows; the default is linearizable, as of `etcdctl member list`.
	Serializable bool `json:"serializable,omitempty"`
	// On is the member that is asked; nil is any that runs, for a write all of
	// them in turn.
	On []Selector `json:"on,omitempty"`
	// Within is how long the cluster has to get there: it is looked at again and
	// again. Zero means now.
	Within Duration `json:"within,omitzero"`
	// For is how long it has to stay that way once it is so.
	For Duration `json:"for,omitzero"`

	line int
}

// String is the expectation for a report: "write fails with …, within 2s".
func (e Expectation) String() string {
	text := string(e.Subject) + " " + e.Value
	if e.Is != "" {
		text += " " + e.Is
	}
	if e.With != "" {
		text += " with " + quote(e.With)
	}
	if e.Serializable {
		text += " serializable"
	}
	if e.Namespace != "" {
		text += " in namespace " + e.Namespace
	}
	if len(e.On) > 0 {
		text += " on " + strings.Join(names(e.On), ", ")
	}
	if e.Within > 0 {
		text += " within " + e.Within.String()
	}
	if e.For > 0 {
		text += " for " + e.For.String()
	}
	return text
}
