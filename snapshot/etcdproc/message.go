package etcdproc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"github.com/lifeboat-dr/lifeboat/snapshot"
)

// ErrNewer is the answer to a database that a newer etcd wrote than the one
// that is linked: it may hold what this one would misread.
var ErrNewer = errors.New("written by a newer etcd")

// kinds are the errors that keep their identity on the way from the child to
// the parent.
var kinds = []error{
	ErrNewer,
	snapshot.ErrDamaged, snapshot.ErrNotDatabase, snapshot.ErrNotEtcd, snapshot.ErrInUse,
}

// message is what the child says: a phase that begins, or the end of the
// start, well (Revision > 0) or not (Error).
type message struct {
	Phase string `json:"phase,omitempty"`

	Revision int64 `json:"revision,omitempty"` // the newest
	First    int64 `json:"first,omitempty"`    // the compacted revision

	Answer json.RawMessage `json:"answer,omitempty"` // of a task

	Error string        `json:"error,omitempty"`
	Kinds []string      `json:"kinds,omitempty"` // texts of kinds
	Errno syscall.Errno `json:"errno,omitempty"`
}

func parseMessage(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("parsing the child's message: %w", err)
	}
	return m, nil
}

// failure is the message for err.
func failure(err error) message {
	m := message{Error: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k) {
			m.Kinds = append(m.Kinds, k.Error())
		}
	}
	errors.As(err, &m.Errno)
	return m
}

// err is failure's way back.
func (m message) err() error {
	if m.Error == "" {
		return nil
	}
	e := &childError{text: m.Error}
	for _, k := range kinds {
		for _, text := range m.Kinds {
			if k.Error() == text {
				e.is = append(e.is, k)
			}
		}
	}
	if m.Errno != 0 {
		e.is = append(e.is, m.Errno)
	}
	return e
}

// childError is an error that the child met and put into words.
type childError struct {
	text string
	is   []error
}

func (e *childError) Error() string   { return e.text }
func (e *childError) Unwrap() []error { return e.is }

// DiedError is the end of a child that could not say why: etcd gave up on the
// file (lg.Fatal, a panic), or somebody killed it.
type DiedError struct {
	Phase string   // what it was doing
	State string   // "exit status 2", "signal: killed"
	Log   []string // its last lines, safe to print
}

func (e *DiedError) Error() string {
	var b strings.Builder
	if e.Phase != "" {
		b.WriteString(e.Phase + ": ")
	}
	b.WriteString("etcd ended with " + e.State)
	if len(e.Log) > 0 {
		b.WriteString(": " + strings.Join(e.Log, "; "))
	}
	return b.String()
}

const (
	logLines  = 5   // lines kept of a child's log
	lineBytes = 500 // bytes kept of a line
)

// logTail keeps the last lines of a child's log. A stack trace ends it: what
// went wrong stands before the first goroutine.
type logTail struct {
	mu    sync.Mutex
	kept  []string
	line  []byte
	trace bool
}

func (t *logTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range p {
		switch {
		case c == '\n':
			t.keep()
		case len(t.line) < lineBytes:
			t.line = append(t.line, c)
		}
	}
	return len(p), nil
}

// keep ends the current line.
func (t *logTail) keep() {
	line := bytes.TrimSpace(t.line)
	t.line = t.line[:0]
	t.trace = t.trace || bytes.HasPrefix(line, []byte("goroutine "))
	if t.trace || len(line) == 0 {
		return
	}
	if len(t.kept) == logLines {
		t.kept = t.kept[1:]
	}
	t.kept = append(t.kept, printable(string(line)))
}

func (t *logTail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep()
	return t.kept
}

// printable quotes a line that could reach into a terminal.
func printable(line string) string {
	if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
		return strconv.Quote(line)
	}
	return strings.ReplaceAll(line, "\t", " ")
}
