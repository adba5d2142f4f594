package lifeboat

import "fmt"

// Class says what kind of answer an error is. The command has an exit code for
// each.
type Class string

// The classes.
const (
	Failed     Class = "failed"     // what was asked for does not exist, or cannot be done
	Misused    Class = "misused"    // the options contradict each other or the source
	Incomplete Class = "incomplete" // it is done, but not all that was asked for
	NoKey      Class = "no key"     // no key at hand opens it
	Damaged    Class = "damaged"    // it is not what was once written
	Refused    Class = "refused"    // it could be done, and must not
)

// Error is an error that knows its class, or the next thing to do, or both.
type Error struct {
	Class Class // "" is that of Err
	Err   error
	Hint  string // a command to type, or what to look at; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// HintText is the hint, for those who know this by an interface alone.
func (e *Error) HintText() string { return e.Hint }

func misusef(format string, args ...any) error {
	return &Error{Class: Misused, Err: fmt.Errorf(format, args...)}
}

func refusef(format string, args ...any) error {
	return &Error{Class: Refused, Err: fmt.Errorf(format, args...)}
}

// withHint adds the next thing to do to err, and keeps its class.
func withHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &Error{Err: err, Hint: hint}
}
