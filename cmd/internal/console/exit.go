package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/manual"
)

// ExitCode is what the process tells its caller. The codes are part of the
// interface: a number never changes its meaning.
type ExitCode int

// The exit codes; exitCodeTable says what they mean.
const (
	ExitDone        ExitCode = 0
	ExitFailed      ExitCode = 1
	ExitUsage       ExitCode = 2
	ExitIncomplete  ExitCode = 3
	ExitNoKey       ExitCode = 4
	ExitDamaged     ExitCode = 5
	ExitRefused     ExitCode = 6
	ExitDeviated    ExitCode = 7
	ExitInterrupted ExitCode = 130
)

// exitCodeTable is the only table of the exit codes.
func exitCodeTable() []manual.Code {
	return []manual.Code{
		{Code: int(ExitDone), Meaning: "done"},
		{Code: int(ExitFailed), Meaning: "failed, or no such object"},
		{Code: int(ExitUsage), Meaning: "wrong usage"},
		{Code: int(ExitIncomplete), Meaning: "done, but something asked for is missing, or was changed for\na reason that is no rule of the profile"},
		{Code: int(ExitNoKey), Meaning: "no key fits: all that was asked for is locked"},
		{Code: int(ExitDamaged), Meaning: "damaged, or a signature that is wrong, of another key, or\nmissing where one is required"},
		{Code: int(ExitRefused), Meaning: "refused: the target exists, is in use, or it would be unsafe"},
		{Code: int(ExitDeviated), Meaning: "a drill deviated, or two things differ"},
		{Code: int(ExitInterrupted), Meaning: "interrupted"},
	}
}

// ExitCodeText is the table of the exit codes, as it stands in every help text.
func ExitCodeText() string { return manual.CodeText(exitCodeTable()) }

// CodedError is an error that knows its exit code and the next thing to do.
type CodedError struct {
	Code ExitCode
	Err  error
	Hint string // a command to type, or what to look at; may be empty
}

func (e *CodedError) Error() string { return e.Err.Error() }
func (e *CodedError) Unwrap() error { return e.Err }

// Usagef is exit 2: the command was typed wrong.
func Usagef(format string, args ...any) error { return UsageError(fmt.Errorf(format, args...)) }

// UsageError says that err lies in how the command was typed.
func UsageError(err error) error { return &CodedError{Code: ExitUsage, Err: err} }

// Failf is exit 1: what was asked for does not exist, or cannot be done.
func Failf(format string, args ...any) error {
	return &CodedError{Code: ExitFailed, Err: fmt.Errorf(format, args...)}
}

// Incompletef is exit 3: the work is done, but not all that was asked for.
func Incompletef(format string, args ...any) error {
	return &CodedError{Code: ExitIncomplete, Err: fmt.Errorf(format, args...)}
}

// Refusef is exit 6: it could be done, and must not.
func Refusef(format string, args ...any) error {
	return &CodedError{Code: ExitRefused, Err: fmt.Errorf(format, args...)}
}

// WithHint adds the next thing to do to err, and keeps err's exit code.
func WithHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &CodedError{Code: codeOf(err), Err: err, Hint: hint}
}

// errSpoken is the end of another program that was run, which has said itself
// what was wrong.
var errSpoken = errors.New("the command failed")

// ExitWith is the exit code of a program that was run, nil for 0. Nothing is
// printed for it.
func ExitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &CodedError{Code: ExitCode(code), Err: errSpoken}
}

// codeOf is the one place where errors become exit codes.
//
// The order matters where one error holds several: an interrupted run says so
// whatever broke on the way out, and of errors that were joined the strongest
// counts.
func codeOf(err error) ExitCode {
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, context.Canceled), errors.Is(err, syscall.EPIPE):
		return ExitInterrupted
	}
	if code := codeIn(err); code != ExitDone {
		return code
	}
	return ExitFailed
}

// codeIn is the strongest code in the tree of err, exitDone when nothing in it
// has one. What a codedError wraps has been judged by whoever made it.
func codeIn(err error) ExitCode {
	switch e := err.(type) { //nolint:errorlint // each node of the tree is looked at by itself
	case *CodedError:
		return e.Code
	case *lifeboat.Error:
		if code, ok := classCodes()[e.Class]; ok {
			return code
		}
		return codeIn(e.Err)
	case interface{ Unwrap() error }:
		return stronger(codeAt(err), codeIn(e.Unwrap()))
	case interface{ Unwrap() []error }:
		code := codeAt(err)
		for _, each := range e.Unwrap() {
			code = stronger(code, codeOf(each)) // a branch that has none has failed
		}
		return code
	}
	return codeAt(err)
}

// codeAt is the code of one node of a tree of errors.
func codeAt(err error) ExitCode {
	is, asks := err.(interface{ Is(error) bool })
	for _, known := range lifeboat.KnownErrors() {
		if err == known.Err || asks && is.Is(known.Err) { //nolint:errorlint // as above
			return classCodes()[known.Class]
		}
	}
	return ExitDone
}

// stronger is the code that counts where there are two. Damage beats a missing
// key, because a damaged file makes good keys look wrong; what failed beats
// what is done with something missing.
func stronger(a, b ExitCode) ExitCode {
	for _, code := range []ExitCode{ExitInterrupted, ExitDamaged, ExitRefused, ExitUsage, ExitNoKey, ExitDeviated, ExitFailed, ExitIncomplete} {
		if a == code || b == code {
			return code
		}
	}
	return ExitDone
}

// classCodes are the codes of the library's classes of errors.
func classCodes() map[lifeboat.Class]ExitCode {
	return map[lifeboat.Class]ExitCode{
		lifeboat.Failed: ExitFailed, lifeboat.Misused: ExitUsage, lifeboat.Incomplete: ExitIncomplete,
		lifeboat.NoKey: ExitNoKey, lifeboat.Damaged: ExitDamaged, lifeboat.Refused: ExitRefused,
	}
}

// hinted is an error that knows the next thing to do, "" for nothing.
type hinted interface {
	error
	HintText() string
	Unwrap() error
}

// HintText is the hint.
func (e *CodedError) HintText() string { return e.Hint }

// HintOf is the innermost hint: who was closest to the fault knows best.
func HintOf(err error) string {
	hint := ""
	for next := hinted(nil); errors.As(err, &next); err = next.Unwrap() {
		if text := next.HintText(); text != "" {
			hint = text
		}
	}
	return hint
}

// errorDocument is an error under -o json.
type errorDocument struct {
	Error struct {
		Code    ExitCode `json:"code"`
		Message string   `json:"message"`
		Hint    string   `json:"hint,omitempty"`
	} `json:"error"`
}

// report prints err, if there is one, and gives the exit code. Nothing else in
// this package prints an error.
func report(env *Environment, err error) ExitCode {
	code := codeOf(err)
	switch {
	case err == nil, errors.Is(err, errSpoken), errors.Is(err, syscall.EPIPE): // who reads no longer wants no message either
	case env.Format == FormatJSON:
		var doc errorDocument
		doc.Error.Code, doc.Error.Message, doc.Error.Hint = code, crypto.WithoutKeys(err.Error()), crypto.WithoutKeys(HintOf(err))
		env.sayJSON(doc)
	default:
		message := err.Error()
		if code == ExitInterrupted {
			message = "interrupted"
		}
		env.say("error", message)
		if hint := HintOf(err); hint != "" {
			env.say("hint", hint)
		}
	}
	return code
}

// say prints one message on stderr, as text or as a line of JSON. Names that
// came out of a file cannot steer the terminal, and a private key that was typed in
// the place of something else is not shown.
func (e *Environment) say(kind, message string) {
	message = crypto.WithoutKeys(message)
	if e.Format == FormatJSON {
		e.sayJSON(map[string]map[string]string{kind: {"message": message}})
		return
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	fmt.Fprintf(e.stderr, "lifeboat: %s: %s\n", kind, strings.Join(lines, "\n  "))
}

func (e *Environment) sayJSON(document any) {
	line, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings and numbers only: a mistake in this file
	}
	fmt.Fprintf(e.stderr, "%s\n", line)
}
