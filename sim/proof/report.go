package proof

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
	"github.com/lifeboat-dr/lifeboat/sim"
)

// Verdict is what a proof came to.
type Verdict string

// The verdicts, the best first.
const (
	Proven      Verdict = "proven"
	ProvenBut   Verdict = "proven, but for what is listed"
	CannotStart Verdict = "the backup cannot start"
)

// Report is what a proof found. It holds no value of any object.
type Report struct {
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
	Started time.Time `json:"started"` // by this host's clock

	Source   Source            `json:"source"`
	Programs []ProgramUsed     `json:"programs"`
	Versions map[string]string `json:"versions"` // of lifeboat, the linked etcd and Kubernetes

	Way    string   `json:"way"`              // how the sandbox was kept apart from the host
	Weaker []string `json:"weaker,omitempty"` // why this proves less than it could

	Steps  []Step           `json:"steps"`
	Checks []lifeboat.Check `json:"checks"`

	Resources   []ResourceCount `json:"resources,omitempty"`
	Seed        uint64          `json:"seed"`                  // of the sample
	Missing     []string        `json:"missing,omitempty"`     // objects, as "deployments.apps ns/name"
	Unreadable  []string        `json:"unreadable,omitempty"`  // objects that the server cannot read, with its reason
	Unexpected  []string        `json:"unexpected,omitempty"`  // objects that are not in the backup, and that the server did not write
	Differing   []Difference    `json:"differing,omitempty"`   // objects whose content differs
	NotServed   []ResourceCount `json:"notServed,omitempty"`   // stored, and of an API that the flags do not serve
	NotProvable []string        `json:"notProvable,omitempty"` // what nobody in the sandbox could answer
	OwnWrites   []Write         `json:"ownWrites,omitempty"`   // what the server wrote by itself since its start

	Controllers *Ran `json:"controllers,omitempty"` // where they have run
}

// Source is what was proven.
type Source struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	SHA256   string `json:"sha256,omitempty"` // of the file; "" for a folder or a pipe
	Cluster  string `json:"cluster,omitempty"`
	Revision int64  `json:"revision"`
}

// ProgramUsed is a program that ran in the sandbox.
type ProgramUsed struct {
	Name    string   `json:"name"`
	Found   string   `json:"found"` // where
	SHA256  string   `json:"sha256,omitempty"`
	Version string   `json:"version,omitempty"`
	Image   string   `json:"image,omitempty"` // that the manifest names
	Other   bool     `json:"other,omitempty"` // of another version than that image
	Command []string `json:"command,omitempty"`
}

// Step is a stretch of the work, with its time.
type Step struct {
	Name   string        `json:"name"`
	Took   time.Duration `json:"took"` // nanoseconds
	Detail string        `json:"detail,omitempty"`
	Failed bool          `json:"failed,omitempty"`
}

// ResourceCount counts the objects of a resource.
type ResourceCount struct {
	Resource string `json:"resource"` // "deployments.apps"
	Stored   int    `json:"stored"`
	Served   int    `json:"served"`
	Same     int    `json:"same"`          // of the stored ones: served under their name at their revision
	Compared int    `json:"compared"`      // of those, in whole
	Why      string `json:"why,omitempty"` // they are not served
}

// Difference is an object whose content differs, by the paths of its fields.
type Difference struct {
	Object string   `json:"object"`
	Paths  []string `json:"paths"`
}

// Write is something that the server wrote by itself.
type Write struct {
	Object string `json:"object"`
	What   string `json:"what"` // created, changed or deleted
	Why    string `json:"why"`
}

// Recovery is how long it took from the backup to a ready API server: the part
// of the time to recover that this proof has measured.
func (r *Report) Recovery() (took time.Duration) {
	for _, s := range r.Steps {
		if slices.Contains([]string{stepRestore, stepEtcd, stepServer}, s.Name) {
			took += s.Took
		}
	}
	return took
}

// conclude draws the verdict from the checks.
func (r *Report) conclude() {
	byObject := func(a, b Write) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.What, b.What))
	}
	slices.SortFunc(r.OwnWrites, byObject)
	slices.Sort(r.Missing)
	slices.Sort(r.Unreadable)
	slices.Sort(r.Unexpected)
	slices.SortFunc(r.Differing, func(a, b Difference) int { return strings.Compare(a.Object, b.Object) })
	r.Verdict = Proven
	for _, c := range r.Checks {
		switch c.State() {
		case lifeboat.StateBad:
			if r.Verdict != CannotStart {
				r.Verdict, r.Reason = CannotStart, c.Detail
			}
		case lifeboat.StateMismatch:
			if r.Verdict == Proven {
				r.Verdict, r.Reason = ProvenBut, c.Detail
			}
		case lifeboat.StateGood, lifeboat.StateNote, lifeboat.StateNotChecked:
		}
	}
}

// cannotStart tells whether something that was found so far says so.
func (r *Report) cannotStart() bool {
	return slices.ContainsFunc(r.Checks, func(c lifeboat.Check) bool { return c.State() == lifeboat.StateBad })
}

// Err is the verdict as an error for the exit code: nil for Proven.
func (r *Report) Err() error {
	switch r.Verdict {
	case CannotStart:
		return &lifeboat.Error{Class: lifeboat.Damaged, Err: errVerdict{r}}
	case ProvenBut:
		return &lifeboat.Error{Class: lifeboat.Incomplete, Err: errVerdict{r}}
	case Proven:
	}
	return nil
}

type errVerdict struct{ r *Report }

func (e errVerdict) Error() string { return string(e.r.Verdict) + ": " + e.r.Reason }

// Record is what is kept beside an archive of size bytes.
func (r *Report) Record(size int64) lifeboat.ProofRecord {
	record := lifeboat.ProofRecord{
		Archive: r.Source.SHA256, Size: size, Proven: r.Started, Verdict: string(r.Verdict), Took: r.Recovery().Seconds(),
	}
	for _, p := range r.Programs {
		if p.Name == controlplane.APIServer {
			record.Server = p.Version
		}
	}
	return record
}

// Sign makes a signature of content, with a comment that it vouches for, too.
type Sign func(content io.Reader, comment string) ([]byte, error)

// WriteFiles writes the report in all its forms into a folder, and beside
// report.json a signature of it where there is a signer.
func (r *Report) WriteFiles(root *os.Root, sign Sign) error {
	if err := sim.WriteForms(root, ".", r); err != nil || sign == nil {
		return err
	}
	content, err := root.ReadFile("report.json")
	if err != nil {
		return err
	}
	signature, err := sign(bytes.NewReader(content), "proof of sha256 "+r.Source.SHA256+": "+string(r.Verdict))
	if err != nil {
		return err
	}
	return root.WriteFile("report.json.minisig", signature, 0o600)
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
