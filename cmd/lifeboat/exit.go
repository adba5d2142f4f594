package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

// exitCode is what the process tells its caller. The codes are part of the
// interface: a number never changes its meaning.
type exitCode int

const (
	exitDone        exitCode = 0
	exitFailed      exitCode = 1
	exitUsage       exitCode = 2
	exitIncomplete  exitCode = 3
	exitNoKey       exitCode = 4
	exitDamaged     exitCode = 5
	exitRefused     exitCode = 6
	exitDeviated    exitCode = 7
	exitInterrupted exitCode = 130
)

// exitCodeRow is a line of the table that stands in every help text.
type exitCodeRow struct {
	code    exitCode
	meaning string
}

// exitCodeTable is the only table of the exit codes.
func exitCodeTable() []exitCodeRow {
	return []exitCodeRow{
		{exitDone, "done"},
		{exitFailed, "failed, or no such object"},
		{exitUsage, "wrong usage"},
		{exitIncomplete, "done, but something asked for is missing, or was changed for\na reason that is no rule of the profile"},
		{exitNoKey, "no key fits: all that was asked for is locked"},
		{exitDamaged, "damaged, or a signature that is wrong, of another key, or\nmissing where one is required"},
		{exitRefused, "refused: the target exists, is in use, or it would be unsafe"},
		{exitDeviated, "a drill deviated from its expectations"},
		{exitInterrupted, "interrupted"},
	}
}

// codedError is an error that knows its exit code and the next thing to do.
type codedError struct {
	Code exitCode
	Err  error
	Hint string // a command to type, or what to look at; may be empty
}

func (e *codedError) Error() string { return e.Err.Error() }
func (e *codedError) Unwrap() error { return e.Err }

// usagef is exit 2: the command was typed wrong.
func usagef(format string, args ...any) error { return usageError(fmt.Errorf(format, args...)) }

// usageError says that err lies in how the command was typed.
func usageError(err error) error { return &codedError{Code: exitUsage, Err: err} }

// failf is exit 1: what was asked for does not exist, or cannot be done.
func failf(format string, args ...any) error {
	return &codedError{Code: exitFailed, Err: fmt.Errorf(format, args...)}
}

// incompletef is exit 3: the work is done, but not all that was asked for.
func incompletef(format string, args ...any) error {
	return &codedError{Code: exitIncomplete, Err: fmt.Errorf(format, args...)}
}

// refusef is exit 6: it could be done, and must not.
func refusef(format string, args ...any) error {
	return &codedError{Code: exitRefused, Err: fmt.Errorf(format, args...)}
}

// withHint adds the next thing to do to err, and keeps err's exit code.
func withHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &codedError{Code: codeOf(err), Err: err, Hint: hint}
}

// codeOf is the one place where errors become exit codes.
//
// The order matters where one error holds several: an interrupted run says so
// whatever broke on the way out, and of errors that were joined the strongest
// counts.
func codeOf(err error) exitCode {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled), errors.Is(err, syscall.EPIPE):
		return exitInterrupted
	}
	if code := codeIn(err); code != exitDone {
		return code
	}
	return exitFailed
}

// codeIn is the strongest code in the tree of err, exitDone when nothing in it
// has one. What a codedError wraps has been judged by whoever made it.
func codeIn(err error) exitCode {
	switch e := err.(type) { //nolint:errorlint // each node of the tree is looked at by itself
	case *codedError:
		return e.Code
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
func codeAt(err error) exitCode {
	is, asks := err.(interface{ Is(error) bool })
	for _, row := range sentinels() {
		if err == row.err || asks && is.Is(row.err) { //nolint:errorlint // as above
			return row.code
		}
	}
	return exitDone
}

// stronger is the code that counts where there are two. Damage beats a missing
// key, because a damaged file makes good keys look wrong; what failed beats
// what is done with something missing.
func stronger(a, b exitCode) exitCode {
	for _, code := range []exitCode{exitInterrupted, exitDamaged, exitRefused, exitUsage, exitNoKey, exitDeviated, exitFailed, exitIncomplete} {
		if a == code || b == code {
			return code
		}
	}
	return exitDone
}

// sentinels are the libraries' errors that are more than "failed".
func sentinels() []struct {
	err  error
	code exitCode
} {
	return []struct {
		err  error
		code exitCode
	}{
		{crypto.ErrDamaged, exitDamaged},
		{archive.ErrDamaged, exitDamaged},
		{snapshot.ErrDamaged, exitDamaged},
		// What was meant to be a backup and is none is worth as little as a damaged one.
		{archive.ErrNotArchive, exitDamaged},
		{archive.ErrNoSnapshot, exitDamaged},
		{snapshot.ErrNotDatabase, exitDamaged},
		{snapshot.ErrNotEtcd, exitDamaged},
		{crypto.ErrPolicy, exitRefused},
		{archive.ErrPolicy, exitRefused},
		{archive.ErrManySnapshots, exitRefused}, // which one is the cluster's is not ours to guess
		{snapshot.ErrInUse, exitRefused},
		{etcdproc.ErrNewer, exitRefused},
		{whole.ErrExists, exitRefused},
		{whole.ErrInUse, exitRefused},
		{whole.ErrSource, exitRefused},
		{fs.ErrExist, exitRefused},
		{crypto.ErrSignature, exitDamaged},
		{crypto.ErrRecipients, exitUsage},
		{archive.ErrNewer, exitRefused},
		{crypto.ErrNoKey, exitNoKey},
	}
}

// hintOf is the innermost hint: who was closest to the fault knows best.
func hintOf(err error) string {
	hint := ""
	for coded := (*codedError)(nil); errors.As(err, &coded); err = coded.Err {
		if coded.Hint != "" {
			hint = coded.Hint
		}
	}
	return hint
}

// errorDocument is an error under -o json.
type errorDocument struct {
	Error struct {
		Code    exitCode `json:"code"`
		Message string   `json:"message"`
		Hint    string   `json:"hint,omitempty"`
	} `json:"error"`
}

// report prints err, if there is one, and gives the exit code. Nothing else in
// this package prints an error.
func report(env *environment, err error) exitCode {
	code := codeOf(err)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // who reads no longer wants no message either
	case env.format == formatJSON:
		var doc errorDocument
		doc.Error.Code, doc.Error.Message, doc.Error.Hint = code, err.Error(), hintOf(err)
		env.sayJSON(doc)
	default:
		message := err.Error()
		if code == exitInterrupted {
			message = "interrupted"
		}
		env.say("error", message)
		if hint := hintOf(err); hint != "" {
			env.say("hint", hint)
		}
	}
	return code
}

// say prints one message on stderr, as text or as a line of JSON. Names that
// came out of a file cannot steer the terminal.
func (e *environment) say(kind, message string) {
	if e.format == formatJSON {
		e.sayJSON(map[string]map[string]string{kind: {"message": message}})
		return
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	fmt.Fprintf(e.stderr, "lifeboat: %s: %s\n", kind, strings.Join(lines, "\n  "))
}

func (e *environment) sayJSON(document any) {
	line, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings and numbers only: a mistake in this file
	}
	fmt.Fprintf(e.stderr, "%s\n", line)
}
