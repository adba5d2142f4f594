package host

import (
	"context"
	"fmt"
)

// Kind says what a step does.
type Kind string

// The kinds of steps. None of them deletes.
const (
	Move  Kind = "move"  // From gets the name To, where nothing stands
	Swap  Kind = "swap"  // From and To change places, at one moment
	Edit  Kind = "edit"  // To gets Content, and From, in its folder or beside it, what it had
	Make  Kind = "make"  // the folder To comes into being
	Tidy  Kind = "tidy"  // the folder From, which the run made and which is empty, goes
	Wait  Kind = "wait"  // until no process holds the data dir From, on the way back as well
	Build Kind = "build" // Work makes the folder To, whole or not at all
	Check Kind = "check" // Work looks at what was done, and changes nothing; without one, the run itself does
)

// Step is one step of a plan. Names are the host's, with no symbolic link in
// them.
type Step struct {
	Kind    Kind   `json:"kind"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Why     string `json:"why"`
	Undo    string `json:"undo"`              // how it is undone
	Work    string `json:"work,omitempty"`    // of Build and Check: which
	Content []byte `json:"content,omitempty"` // of Edit; it may hold a secret, as the manifest may
	Diff    string `json:"diff,omitempty"`    // of Edit: the lines that change, for people

	// ID is the file or folder that is moved or swapped away, where it stands
	// when the plan is made; Old the digest of what is edited.
	ID  identity `json:"id,omitzero"`
	Old string   `json:"old,omitempty"`
}

// String says what the step does, in one line. Names may need escaping.
func (s Step) String() string {
	switch s.Kind {
	case Move:
		return fmt.Sprintf("move %s to %s", s.From, s.To)
	case Swap:
		return fmt.Sprintf("exchange %s and %s", s.To, s.From)
	case Edit:
		return fmt.Sprintf("edit %s, the old one becomes %s", s.To, s.From)
	case Make:
		return "make the folder " + s.To
	case Tidy:
		return fmt.Sprintf("remove %s, which is empty by now", s.From)
	case Wait:
		return "wait until no process holds " + s.From
	case Build:
		return "build " + s.To
	case Check:
		if s.Work == "" {
			return "check that all of it is where this plan has it"
		}
		return "check " + s.To
	}
	return string(s.Kind)
}

// Work does what a Build or a Check needs besides the host: it gets the step's
// To in this process's file system. A Build makes it whole or not at all.
type Work func(ctx context.Context, to string) error

// action is how a kind of step is done and undone. Both find out by themselves
// whether they were done already.
type action struct {
	do   func(ctx context.Context, r *Run, s Step) error
	undo func(ctx context.Context, r *Run, s Step) error
}

func actions() map[Kind]action {
	nothing := func(context.Context, *Run, Step) error { return nil }
	return map[Kind]action{
		Move:  {doMove, undoMove},
		Swap:  {doSwap, undoSwap},
		Edit:  {doEdit, undoEdit},
		Make:  {doMake, undoMake},
		Tidy:  {doTidy, undoTidy},
		Wait:  {doWait, doWait},
		Build: {doBuild, undoBuild},
		Check: {doCheck, nothing},
	}
}
