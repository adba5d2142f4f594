package sandbox

import "net/netip"

// The two processes talk in JSON, one object a packet, on a socket that has no
// name. Requests carry an id, which their reply has again; what has no id is
// news.

// maxPacket bounds a packet: command lines are some kilobytes.
const maxPacket = 64 << 10

type operation string

const (
	opSetUp operation = "set up"
	opRun   operation = "run"
	opKill  operation = "kill"
	opDial  operation = "dial"
)

type request struct {
	ID int       `json:"id"`
	Op operation `json:"op"`

	SetUp   *setUp   `json:"setUp,omitempty"`
	Program *Program `json:"program,omitempty"`
	Name    string   `json:"name,omitempty"`    // of the program to kill
	Address string   `json:"address,omitempty"` // to dial
}

// setUp is a Spec for one way.
type setUp struct {
	Dir       string       `json:"dir"`
	Way       Way          `json:"way"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Roots     []Root       `json:"roots,omitempty"`
}

type reply struct {
	ID    int      `json:"id"`
	Error *failure `json:"error,omitempty"`
	Notes []string `json:"notes,omitempty"` // of the set-up
	Pid   int      `json:"pid,omitempty"`   // as the sandbox counts

	// News of a program's end.
	Ended string `json:"ended,omitempty"`
	State string `json:"state,omitempty"` // "exit status 1", "signal: killed"
	Code  int    `json:"code,omitempty"`  // -1 for a signal
}

// failure is an error on its way to the other process.
type failure struct {
	Step  string `json:"step"`
	Text  string `json:"text"`
	Errno int    `json:"errno,omitempty"`
}

func (f *failure) err() error {
	if f == nil {
		return nil
	}
	return &stepError{f.Step, f.Errno, f.Text}
}
