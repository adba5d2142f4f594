package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	in := func(err error) error { return fmt.Errorf("reading %q: %w", "x", err) }
	for want, errs := range map[exitCode][]error{
		exitDone:        {nil},
		exitFailed:      {errors.New("any"), fs.ErrNotExist, failf("no namespace"), context.DeadlineExceeded, syscall.ENOSPC},
		exitUsage:       {usagef("no such flag"), withHint(usagef("x"), "hint")},
		exitIncomplete:  {incompletef("3 objects are missing")},
		exitNoKey:       {crypto.ErrNoKey, &crypto.NoKeyError{Recipients: []string{"X25519"}}},
		exitDamaged:     {&crypto.DamagedError{Layer: "age"}, &archive.DamagedError{Layer: "gzip"}, &snapshot.DamagedError{What: "x"}, errors.Join(crypto.ErrNoKey, snapshot.ErrDamaged)},
		exitRefused:     {fs.ErrExist, refusef("target exists"), &snapshot.InUseError{}, &crypto.PolicyError{}, &archive.PolicyError{}, &archive.SnapshotError{Found: []string{"a", "b"}}, etcdproc.ErrNewer},
		exitDeviated:    {errors.Join(&codedError{Code: exitDeviated, Err: errors.New("x")}, errors.New("closing"))},
		exitInterrupted: {context.Canceled, errors.Join(context.Canceled, snapshot.ErrDamaged), syscall.EPIPE},
	} {
		for _, err := range errs {
			require.Equal(t, want, codeOf(err), "%v", err)
			if err != nil {
				require.Equal(t, want, codeOf(in(err)), "wrapped: %v", err)
				require.Equal(t, want, codeOf(withHint(in(err), "hint")), "hinted: %v", err)
			}
		}
	}
}

// Several things go wrong at once: the worst of them is the exit code,
// whichever comes first.
func TestTheStrongestCodeCounts(t *testing.T) {
	t.Parallel()
	order := []error{
		&crypto.DamagedError{Layer: "age"}, refusef("in the way"), usagef("no such flag"),
		&codedError{Code: exitNoKey, Err: errors.New("none of these opens it")}, failf("not there"), incompletef("3 are missing"),
	}
	for i, strong := range order {
		for _, weak := range order[i:] {
			for _, both := range []error{
				errors.Join(strong, weak), errors.Join(weak, strong), fmt.Errorf("a: %w, b: %w", weak, fmt.Errorf("b: %w", strong)),
				withHint(errors.Join(weak, nil, strong), "hint"), errors.Join(errors.Join(weak), fmt.Errorf("c: %w", errors.Join(strong))),
			} {
				require.Equal(t, codeOf(strong), codeOf(both), "%v", both)
			}
		}
	}
	require.Equal(t, exitFailed, codeOf(errors.Join(incompletef("2 are missing"), syscall.EIO)), "done it is not")
	require.Equal(t, exitUsage, codeOf(usageError(&crypto.DamagedError{Layer: "age"})), "who wraps an error has judged it")
}

// reported is what report prints on stderr and returns.
func reported(f format, err error) (string, exitCode) {
	var stdout, stderr bytes.Buffer
	env := newEnvironment(&bytes.Buffer{}, &stdout, &stderr)
	env.format = f
	code := report(env, err)
	if stdout.Len() > 0 {
		panic("stdout carries the result alone")
	}
	return stderr.String(), code
}

func TestErrorsAreReported(t *testing.T) {
	t.Parallel()
	text, code := reported(formatTable, nil)
	require.Equal(t, exitDone, code)
	require.Empty(t, text)

	text, code = reported(formatTable, withHint(refusef("writing %q: exists", "restored"), "choose another --to"))
	require.Equal(t, exitRefused, code)
	require.Equal(t, "lifeboat: error: writing \"restored\": exists\nlifeboat: hint: choose another --to\n", text)

	text, _ = reported(formatTable, errors.New("first\nsecond\x1b[31m red \u202e turned"))
	require.Equal(t, "lifeboat: error: first\n  second\\x1b[31m red \\u202e turned\n", text, "a name cannot steer the terminal")

	text, code = reported(formatTable, fmt.Errorf("reading: %w", context.Canceled))
	require.Equal(t, exitInterrupted, code)
	require.Equal(t, "lifeboat: error: interrupted\n", text)

	text, _ = reported(formatTable, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE})
	require.Empty(t, text, "`| head` is no error")
}

func TestErrorsAreReportedAsJSON(t *testing.T) {
	t.Parallel()
	inner := withHint(incompletef("2 objects are \"locked\"\x1b"), "give --encryption-config")
	text, code := reported(formatJSON, fmt.Errorf("extracting: %w", withHint(inner, "outer")))
	require.Equal(t, exitIncomplete, code)
	require.NotContains(t, text, "\x1b")
	var doc errorDocument
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	require.Equal(t, exitIncomplete, doc.Error.Code)
	require.Equal(t, "extracting: 2 objects are \"locked\"\x1b", doc.Error.Message)
	require.Equal(t, "give --encryption-config", doc.Error.Hint, "who was closest to the fault knows best")
}

func TestInterruptedRunSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"lifeboat", "no-such-verb"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, exitInterrupted, code, "whatever broke on the way out")
	code = run(ctx, []string{"lifeboat", "version"}, &bytes.Buffer{}, &stdout, &stderr)
	require.Equal(t, exitDone, code, "it was done before the signal mattered")
}

// The first signal cancels; clean-up runs. Not parallel: it is sent to all.
func TestFirstSignalCancels(t *testing.T) {
	ctx, stop := untilSignal(t.Context())
	defer stop()
	require.NoError(t, ctx.Err())
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	require.NoError(t, self.Signal(syscall.SIGTERM))
	<-ctx.Done()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                  "plain",
		"käse, 東京, a\"b\\":       "käse, 東京, a\"b\\",
		"a\nb":                   `a\nb`,
		"a\tb":                   `a\tb`,
		"\x1b]0;title\x07":       `\x1b]0;title\a`,
		"\x9b31m":                `\x9b31m`,
		"\u009b31m":              `\u009b31m`,
		"abc\u202etxt.exe":       `abc\u202etxt.exe`,
		"bad \xff utf-8 \"and\"": `bad \xff utf-8 "and"`,
		"":                       "",
	} {
		require.Equal(t, want, printable(in), "%q", in)
	}
}
