package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/archive"
	"github.com/lifeboat-dr/lifeboat/crypto"
	"github.com/lifeboat-dr/lifeboat/internal/whole"
	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
	"github.com/lifeboat-dr/lifeboat/snapshot/etcdproc"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	in := func(err error) error { return fmt.Errorf("reading %q: %w", "x", err) }
	for want, errs := range map[ExitCode][]error{
		ExitDone:       {nil},
		ExitFailed:     {errors.New("any"), fs.ErrNotExist, Failf("no namespace"), context.DeadlineExceeded, syscall.ENOSPC, &archive.NotArchiveError{Format: archive.Xz}},
		ExitUsage:      {Usagef("no such flag"), WithHint(Usagef("x"), "hint"), crypto.ErrRecipients, &datadir.RequestError{Err: errors.New("x")}},
		ExitIncomplete: {Incompletef("3 objects are missing")},
		ExitNoKey:      {crypto.ErrNoKey, &crypto.NoKeyError{Recipients: []string{"X25519"}}},
		ExitDamaged: {&crypto.DamagedError{Layer: "age"}, &archive.DamagedError{Layer: "gzip"}, &snapshot.DamagedError{What: "x"}, errors.Join(crypto.ErrNoKey, snapshot.ErrDamaged),
			&crypto.SignatureError{Reason: "x"}, &archive.NotArchiveError{Format: archive.Unknown}, archive.ErrNoSnapshot, snapshot.ErrNotDatabase, snapshot.ErrNotEtcd},
		ExitRefused: {fs.ErrExist, Refusef("target exists"), &snapshot.InUseError{}, &crypto.PolicyError{}, &archive.PolicyError{}, &archive.SnapshotError{Found: []string{"a", "b"}}, etcdproc.ErrNewer,
			archive.ErrNewer, whole.ErrExists, whole.ErrInUse, whole.ErrSource},
		ExitDeviated:    {errors.Join(&CodedError{Code: ExitDeviated, Err: errors.New("x")}, errors.New("closing"))},
		ExitInterrupted: {context.Canceled, errors.Join(context.Canceled, snapshot.ErrDamaged), syscall.EPIPE},
	} {
		for _, err := range errs {
			require.Equal(t, want, codeOf(err), "%v", err)
			if err != nil {
				require.Equal(t, want, codeOf(in(err)), "wrapped: %v", err)
				require.Equal(t, want, codeOf(WithHint(in(err), "hint")), "hinted: %v", err)
			}
		}
	}
}

// The library's class of an error and the exit code for it are one judgement.
func TestClassesAreTheCodes(t *testing.T) {
	t.Parallel()
	known := lifeboat.KnownErrors()
	for _, a := range known {
		require.Equal(t, classCodes()[a.Class], codeOf(fmt.Errorf("reading: %w", a.Err)), "%v", a.Err)
		for _, b := range known {
			both := fmt.Errorf("x: %w", errors.Join(a.Err, &lifeboat.Error{Err: b.Err}))
			require.Equal(t, classCodes()[lifeboat.ClassOf(both)], codeOf(both), "%v", both)
		}
	}
}

// Each class of the library's errors has its code, and one that has none keeps
// that of what it wraps.
func TestExitCodesOfClasses(t *testing.T) {
	t.Parallel()
	for class, want := range map[lifeboat.Class]ExitCode{
		lifeboat.Failed: ExitFailed, lifeboat.Misused: ExitUsage, lifeboat.Incomplete: ExitIncomplete,
		lifeboat.NoKey: ExitNoKey, lifeboat.Damaged: ExitDamaged, lifeboat.Refused: ExitRefused, "": ExitNoKey,
	} {
		err := fmt.Errorf("opening: %w", &lifeboat.Error{Class: class, Err: crypto.ErrNoKey})
		require.Equal(t, want, codeOf(err), "%q", class)
	}
}

// A result that could not be written is not done.
func TestUnwrittenResultIsAnError(t *testing.T) {
	t.Parallel()
	env := NewEnvironment(&bytes.Buffer{}, fullDisk{}, &bytes.Buffer{})
	require.ErrorContains(t, env.PrintDocument(map[string]int{"revision": 1}), "no space left")
	table := NewTable(fullDisk{}, "NAME")
	table.Row("x")
	require.ErrorContains(t, table.Flush(), "no space left")
}

// Nobody is asked for a passphrase on a terminal through which the source comes.
func TestNobodyIsAskedWhereTheSourceComes(t *testing.T) {
	t.Parallel()
	env := NewEnvironment(&bytes.Buffer{}, &bytes.Buffer{}, &bytes.Buffer{})
	env.stdinTerminal = true
	require.Nil(t, SourceOptions{}.For(env, "-").Ask)
	require.NotNil(t, SourceOptions{}.For(env, "backup.tar.gz.age").Ask)
}

// Several things go wrong at once: the worst of them is the exit code,
// whichever comes first.
func TestTheStrongestCodeCounts(t *testing.T) {
	t.Parallel()
	order := []error{
		&crypto.DamagedError{Layer: "age"}, Refusef("in the way"), Usagef("no such flag"),
		&CodedError{Code: ExitNoKey, Err: errors.New("none of these opens it")}, Failf("not there"), Incompletef("3 are missing"),
	}
	for i, strong := range order {
		for _, weak := range order[i:] {
			for _, both := range []error{
				errors.Join(strong, weak), errors.Join(weak, strong), fmt.Errorf("a: %w, b: %w", weak, fmt.Errorf("b: %w", strong)),
				WithHint(errors.Join(weak, nil, strong), "hint"), errors.Join(errors.Join(weak), fmt.Errorf("c: %w", errors.Join(strong))),
			} {
				require.Equal(t, codeOf(strong), codeOf(both), "%v", both)
			}
		}
	}
	require.Equal(t, ExitFailed, codeOf(errors.Join(Incompletef("2 are missing"), syscall.EIO)), "done it is not")
	require.Equal(t, ExitUsage, codeOf(UsageError(&crypto.DamagedError{Layer: "age"})), "who wraps an error has judged it")
}

// reported is what report prints on stderr and returns.
func reported(f format, err error) (string, ExitCode) {
	var stdout, stderr bytes.Buffer
	env := NewEnvironment(&bytes.Buffer{}, &stdout, &stderr)
	env.Format = f
	code := report(env, err)
	if stdout.Len() > 0 {
		panic("stdout carries the result alone")
	}
	return stderr.String(), code
}

func TestErrorsAreReported(t *testing.T) {
	t.Parallel()
	text, code := reported(FormatTable, nil)
	require.Equal(t, ExitDone, code)
	require.Empty(t, text)

	text, code = reported(FormatTable, WithHint(Refusef("writing %q: exists", "restored"), "choose another --to"))
	require.Equal(t, ExitRefused, code)
	require.Equal(t, "lifeboat: error: writing \"restored\": exists\nlifeboat: hint: choose another --to\n", text)

	text, _ = reported(FormatTable, errors.New("first\nsecond\x1b[31m red \u202e turned"))
	require.Equal(t, "lifeboat: error: first\n  second\\x1b[31m red \\u202e turned\n", text, "a name cannot steer the terminal")

	text, code = reported(FormatTable, fmt.Errorf("reading: %w", context.Canceled))
	require.Equal(t, ExitInterrupted, code)
	require.Equal(t, "lifeboat: error: interrupted\n", text)

	text, _ = reported(FormatTable, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE})
	require.Empty(t, text, "`| head` is no error")
}

func TestErrorsAreReportedAsJSON(t *testing.T) {
	t.Parallel()
	inner := WithHint(Incompletef("2 objects are \"locked\"\x1b"), "give --encryption-config")
	text, code := reported(FormatJSON, fmt.Errorf("extracting: %w", WithHint(inner, "outer")))
	require.Equal(t, ExitIncomplete, code)
	require.NotContains(t, text, "\x1b")
	var doc errorDocument
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	require.Equal(t, ExitIncomplete, doc.Error.Code)
	require.Equal(t, "extracting: 2 objects are \"locked\"\x1b", doc.Error.Message)
	require.Equal(t, "give --encryption-config", doc.Error.Hint, "who was closest to the fault knows best")
}
