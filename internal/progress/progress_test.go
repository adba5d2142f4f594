package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// work runs a phase of 1000 MiB for the given time on a fake clock, a message
// in the middle of it, and gives what stands on stderr then.
func work(t *testing.T, terminal bool, mode string, d time.Duration) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		p := New(&out, terminal)
		p.mode = mode
		ph := p.Start("reading archive", 1000<<20)
		const steps = 100
		time.Sleep(d / steps / 2) // so that no step falls on the instant of a report
		for i := range steps {
			if i == steps/2 {
				fmt.Fprintln(p, "lifeboat: warning: something")
			}
			ph.Add(1000 << 20 / steps)
			time.Sleep(d / steps)
		}
		ph.Done()
		ph.Done()
		before := out.Len()
		time.Sleep(time.Minute)
		if out.Len() != before {
			panic("something was drawn after Done")
		}
	})
	return out.String()
}

func TestShortRunsAreQuiet(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{true, false} {
		require.Equal(t, "lifeboat: warning: something\n", work(t, terminal, "auto", 400*time.Millisecond))
	}
	require.Equal(t, "lifeboat: warning: something\n", work(t, false, "json", 400*time.Millisecond))
}

func TestProgressOff(t *testing.T) {
	t.Parallel()
	require.Equal(t, "lifeboat: warning: something\n", work(t, true, "off", time.Hour))
}

func TestProgressInALog(t *testing.T) {
	t.Parallel()
	require.Equal(t, `lifeboat: reading archive: 250 MiB of 1000 MiB (25%), 50 MiB/s, 15s left
lifeboat: reading archive: 500 MiB of 1000 MiB (50%), 50 MiB/s, 10s left
lifeboat: warning: something
lifeboat: reading archive: 750 MiB of 1000 MiB (75%), 50 MiB/s, 5s left
lifeboat: reading archive: 1000 MiB of 1000 MiB (100%), 50 MiB/s
lifeboat: reading archive: 1000 MiB in 20s
`, work(t, false, "auto", 20*time.Second))
}

func TestProgressForAProgram(t *testing.T) {
	t.Parallel()
	var states []progressState
	for line := range strings.Lines(work(t, true, "json", 10*time.Second)) {
		if strings.Contains(line, "warning") {
			continue
		}
		var doc map[string]progressState
		require.NoError(t, json.Unmarshal([]byte(line), &doc))
		states = append(states, doc["progress"])
	}
	require.Len(t, states, 11, "one a second, and the end")
	last := states[len(states)-1]
	require.True(t, last.Done)
	require.EqualValues(t, 1000<<20, last.Bytes)
	require.EqualValues(t, 1000<<20, last.Total)
	require.False(t, states[0].Done)
	require.InDelta(t, 9, states[0].SecondsLeft, 0.2)
}

// Under -o json all of stderr is JSON, also progress in a log.
func TestProgressFollowsTheFormat(t *testing.T) {
	t.Parallel()
	p := New(io.Discard, false)
	require.False(t, p.inJSON())
	p.program = true
	require.True(t, p.inJSON())
	p.terminal = true
	require.False(t, p.inJSON(), "somebody is watching")
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	out := work(t, true, "auto", 20*time.Second)
	require.LessOrEqual(t, strings.Count(out, "reading archive"), 20*10, "ten frames a second at most")
	require.Greater(t, strings.Count(out, "reading archive"), 20*5)
	require.Equal(t, "lifeboat: warning: something\n", screen(out), "the message stays whole, the line goes")

	atWork := out[:strings.LastIndex(out, "\r\x20")]
	shown := screen(atWork)
	require.Contains(t, shown, "reading archive: 1000 MiB of")
	require.Contains(t, shown, "MiB/s")
}

// screen is what a terminal shows after out: \r returns, text overwrites.
func screen(out string) string {
	var done []string
	var line []byte
	column := 0
	for _, c := range []byte(out) {
		switch c {
		case '\r':
			column = 0
		case '\n':
			done, line, column = append(done, strings.TrimRight(string(line), " ")+"\n"), nil, 0
		default:
			if column == len(line) {
				line = append(line, c)
			} else {
				line[column] = c
			}
			column++
		}
	}
	return strings.Join(done, "") + strings.TrimRight(string(line), " ")
}

func TestUnknownTotal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		p := New(&out, false)
		ph := p.Start("reading archive", 0)
		n, err := io.Copy(io.Discard, ph.Reader(strings.NewReader(strings.Repeat("x", 3<<20))))
		require.NoError(t, err)
		require.EqualValues(t, 3<<20, n)
		time.Sleep(6 * time.Second)
		p.Start("writing", 0) // ends the one before
		p.Stop()
	})
	require.Equal(t, "lifeboat: reading archive: 3.0 MiB, 614 KiB/s\nlifeboat: reading archive: 3.0 MiB in 6s\n", out.String())
}

// While somebody is asked, nothing is drawn over the question.
func TestProgressWaitsWhileAsking(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		p := New(&out, true)
		ph := p.Start("reading archive", 1000<<20)
		time.Sleep(2 * time.Second)
		release := p.Hold()
		before := out.Len()
		time.Sleep(time.Minute)
		if out.Len() != before {
			panic("something was drawn while somebody was asked")
		}
		release()
		time.Sleep(2 * time.Second)
		if out.Len() == before {
			panic("the line did not come back")
		}
		ph.Done()
	})
}
