package lifeboat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// State is the result of one check.
type State string

// The states, from the best to the worst.
const (
	StateGood       State = "good"        // something was looked at, and all of it is as it should be
	StateNote       State = "note"        // worth knowing, and no fault of the backup
	StateNotChecked State = "not checked" // nothing was looked at, or nothing can be said
	StateMismatch   State = "MISMATCH"    // each part is whole, and they do not belong together
	StateBad        State = "BAD"         // damaged
)

// Check is what one look at a backup came to. It is made by Good, Note,
// NotChecked, Mismatch and Bad: "good" cannot be had for nothing, as a check
// that looked at zero things is "not checked". The zero Check is "not checked".
type Check struct {
	Name   string // what was checked: "records", "cluster CA"
	Looked int64  // how many things were looked at
	Of     string // what Looked counts, in the plural: "entries", "bytes"
	Detail string // for people; holds no secret

	state State
}

// Good is a check that looked at so many things and found them all right; with
// none of them it is "not checked".
func Good(name string, looked int64, of, format string, args ...any) Check {
	return Check{Name: name, Looked: looked, Of: of, Detail: fmt.Sprintf(format, args...), state: StateGood}
}

// Note is something worth knowing.
func Note(name, format string, args ...any) Check {
	return Check{Name: name, Detail: fmt.Sprintf(format, args...), state: StateNote}
}

// NotChecked says what was not looked at, and why.
func NotChecked(name, format string, args ...any) Check {
	return Check{Name: name, Detail: fmt.Sprintf(format, args...), state: StateNotChecked}
}

// Mismatch says that parts do not belong together.
func Mismatch(name, format string, args ...any) Check {
	return Check{Name: name, Detail: fmt.Sprintf(format, args...), state: StateMismatch}
}

// Bad says that something is damaged.
func Bad(name, format string, args ...any) Check {
	return Check{Name: name, Detail: fmt.Sprintf(format, args...), state: StateBad}
}

// State is the check's result.
func (c Check) State() State {
	switch {
	case c.state == "", c.state == StateGood && c.Looked <= 0:
		return StateNotChecked
	}
	return c.state
}

// checkJSON is a Check in JSON.
type checkJSON struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Looked int64  `json:"looked,omitempty"`
	Of     string `json:"of,omitempty"`
	Detail string `json:"detail"`
}

// MarshalJSON gives {"name", "state", "looked", "of", "detail"}.
func (c Check) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkJSON{c.Name, c.State(), c.Looked, c.Of, c.Detail})
}

// UnmarshalJSON reads what MarshalJSON wrote. A "good" that counts nothing is
// "not checked" here, too.
func (c *Check) UnmarshalJSON(data []byte) error {
	var j checkJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if !slices.Contains([]State{StateGood, StateNote, StateNotChecked, StateMismatch, StateBad}, j.State) {
		return fmt.Errorf("reading check %q: unknown state %q", j.Name, j.State)
	}
	*c = Check{Name: j.Name, Looked: j.Looked, Of: j.Of, Detail: j.Detail, state: j.State}
	return nil
}

// Sound reports whether none of the checks found damage or a mismatch.
func Sound(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.State() == StateBad || c.State() == StateMismatch })
}

// Verdict is the worst of the checks: an Error of class Damaged, one of class
// Incomplete for parts that do not belong together, nil for neither. It says
// nothing of what was not checked.
func Verdict(checks []Check) error {
	var bad, mismatched []string
	for _, c := range checks {
		switch c.State() {
		case StateBad:
			bad = append(bad, c.Name)
		case StateMismatch:
			mismatched = append(mismatched, c.Name)
		case StateGood, StateNote, StateNotChecked:
		}
	}
	switch {
	case len(bad) > 0:
		return &Error{Class: Damaged, Err: errors.New("damaged: " + strings.Join(bad, ", ")), Hint: "take another copy of the backup"}
	case len(mismatched) > 0:
		return &Error{Class: Incomplete, Err: fmt.Errorf("whole, but do not restore from it unseen: %s", strings.Join(mismatched, ", "))}
	}
	return nil
}
