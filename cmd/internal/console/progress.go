package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// How often progress is told. Short runs stay silent.
const (
	progressQuiet = 500 * time.Millisecond // before the first output
	progressLine  = 100 * time.Millisecond // on a terminal
	progressPlain = 5 * time.Second        // in a log
	progressJSON  = time.Second            // for a program
)

// progress tells on stderr how far the work is: one line that is redrawn on a
// terminal, a plain line now and then elsewhere, JSON lines when asked for. It
// is also the Writer for all other messages, which it keeps off that line.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	mode     string // auto, json, off
	program  bool   // a program reads stderr (-o json): off a terminal, auto means json
	held     bool   // somebody is asked something: the line stays away
	width    int    // of the line that stands on the terminal, 0 for none
	current  *phase // guarded by mu, as are width and out
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal, mode: "auto"}
}

// ProgressFlag chooses what progress looks like.
func ProgressFlag(env *Environment) cli.Flag {
	return &choiceFlag{values: []string{"auto", "json", "off"}, StringFlag: &cli.StringFlag{
		Name: "progress", Value: "auto", Usage: "`HOW` progress is told on stderr: auto, json or off",
		Action: func(_ *cli.Context, mode string) error {
			switch mode {
			case "auto", "json", "off":
				env.Progress.mode = mode
				return nil
			}
			return Usagef("unknown --progress %q: it is auto, json or off", mode)
		},
	}}
}

// phase is one stretch of work, measured in bytes. Its methods may be called
// from any goroutine.
type phase struct {
	p     *progress
	name  string
	unit  string // what is counted, "" for bytes
	total int64  // 0 when unknown
	done  atomic.Int64
	start time.Time
	told  bool // something was printed; guarded by p.mu
	end   context.CancelFunc
	gone  chan struct{} // closed when nothing will be drawn any more
}

// Start begins a phase, "reading archive" for example, and ends the one before
// it. total is its size in bytes, 0 when that is not known.
func (p *progress) Start(name string, total int64) *phase { return p.Count(name, "", total) }

// Count begins a phase that counts things of a unit, "seeds" for example, instead
// of bytes. It is never silent for long: what is done is told, also when that is
// nothing yet.
func (p *progress) Count(name, unit string, total int64) *phase {
	p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	ph := &phase{p: p, name: name, unit: unit, total: total, start: time.Now(), end: cancel, gone: make(chan struct{})}
	p.mu.Lock()
	p.current = ph
	p.mu.Unlock()
	every := p.interval()
	if every == 0 {
		close(ph.gone)
		return ph
	}
	go ph.tell(ctx, every)
	return ph
}

// stop ends the phase that runs, if one does.
func (p *progress) stop() {
	p.mu.Lock()
	ph := p.current
	p.mu.Unlock()
	if ph != nil {
		ph.Done()
	}
}

func (p *progress) interval() time.Duration {
	switch {
	case p.mode == "off":
		return 0
	case p.inJSON():
		return progressJSON
	case p.terminal:
		return progressLine
	}
	return progressPlain
}

func (p *progress) inJSON() bool {
	return p.mode == "json" || (p.mode == "auto" && p.program && !p.terminal)
}

// Write prints a message. A progress line that stands on the terminal is wiped
// first; it comes back below the message.
func (p *progress) Write(message []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	return p.out.Write(message)
}

// hold keeps the progress line away while somebody is asked, until the function
// that it gives is called.
func (p *progress) hold() (release func()) {
	set := func(held bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wipe()
		p.held = held
	}
	set(true)
	return func() { set(false) }
}

// wipe needs p.mu.
func (p *progress) wipe() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// Add counts n more bytes as done.
func (ph *phase) Add(n int64) { ph.done.Add(n) }

// Reader counts what is read from r.
func (ph *phase) Reader(r io.Reader) io.Reader { return &countingReader{r, ph} }

type countingReader struct {
	r  io.Reader
	ph *phase
}

func (c *countingReader) Read(buf []byte) (int, error) {
	n, err := c.r.Read(buf)
	c.ph.Add(int64(n))
	return n, err
}

// Done ends the phase: nothing is drawn after it returns. A second call does
// nothing.
func (ph *phase) Done() {
	ph.end()
	<-ph.gone
	p := ph.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	if p.current != ph {
		return
	}
	p.current = nil
	if ph.told && (p.inJSON() || !p.terminal) {
		ph.print(true) // a log that saw the start sees the end
	}
}

func (ph *phase) tell(ctx context.Context, every time.Duration) {
	defer close(ph.gone)
	first := time.NewTimer(max(progressQuiet, min(every, progressPlain)))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ph.p.mu.Lock()
		if !ph.p.held {
			ph.told = true
			ph.print(false)
		}
		ph.p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// print needs p.mu.
func (ph *phase) print(last bool) {
	p := ph.p
	switch {
	case p.inJSON():
		fmt.Fprintf(p.out, "%s\n", ph.state(last).json())
	case p.terminal:
		line := ph.state(last).String()
		if limit := terminalWidth(p.out) - 1; len(line) > limit {
			line = line[:limit]
		}
		fmt.Fprintf(p.out, "\r%-*s", p.width, line)
		p.width = len(line)
	default:
		fmt.Fprintf(p.out, "lifeboat: %s\n", ph.state(last))
	}
}

func terminalWidth(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 1 {
			return width
		}
	}
	return 80
}

// progressState is a phase at one moment.
type progressState struct {
	Phase       string  `json:"phase"`
	Unit        string  `json:"unit,omitempty"` // of what is counted, where that is not bytes
	Count       int64   `json:"count,omitempty"`
	Bytes       int64   `json:"bytes"`
	Total       int64   `json:"total,omitempty"`
	Rate        int64   `json:"bytesPerSecond"`
	Seconds     float64 `json:"seconds"`
	SecondsLeft float64 `json:"secondsLeft,omitempty"`
	Done        bool    `json:"done"`
}

func (ph *phase) state(last bool) progressState {
	s := progressState{Phase: ph.name, Unit: ph.unit, Total: ph.total, Done: last}
	s.Seconds = time.Since(ph.start).Seconds()
	if ph.unit != "" {
		s.Count = ph.done.Load()
		if s.Count > 0 && s.Count < s.Total {
			s.SecondsLeft = s.Seconds / float64(s.Count) * float64(s.Total-s.Count)
		}
		return s
	}
	s.Bytes = ph.done.Load()
	if s.Seconds > 0 {
		s.Rate = int64(float64(s.Bytes) / s.Seconds)
	}
	if s.Rate > 0 && s.Bytes < s.Total {
		s.SecondsLeft = float64(s.Total-s.Bytes) / float64(s.Rate)
	}
	return s
}

func (s progressState) json() []byte {
	line, err := json.Marshal(map[string]progressState{"progress": s})
	if err != nil {
		panic(err) // strings and finite numbers only: a mistake in this file
	}
	return line
}

func (s progressState) String() string {
	if s.Unit != "" {
		text := fmt.Sprintf("%s: %d of %d %s", s.Phase, s.Count, s.Total, s.Unit)
		if s.Total == 0 {
			text = fmt.Sprintf("%s: %d %s", s.Phase, s.Count, s.Unit)
		}
		if s.Done {
			return text + " in " + inSeconds(s.Seconds)
		}
		if s.SecondsLeft > 0 {
			text += ", " + inSeconds(s.SecondsLeft) + " left"
		}
		return text
	}
	if s.Bytes == 0 && s.Total == 0 { // a phase that moves no bytes
		if s.Done {
			return s.Phase + " in " + inSeconds(s.Seconds)
		}
		return s.Phase + ", " + inSeconds(s.Seconds)
	}
	text := s.Phase + ": " + humanize.IBytes(uint64(s.Bytes))
	if s.Done {
		return text + " in " + inSeconds(s.Seconds)
	}
	if s.Total > 0 {
		text += fmt.Sprintf(" of %s (%d%%)", humanize.IBytes(uint64(s.Total)), min(100, s.Bytes*100/s.Total))
	}
	text += fmt.Sprintf(", %s/s", humanize.IBytes(uint64(s.Rate)))
	if s.SecondsLeft > 0 {
		text += ", " + inSeconds(s.SecondsLeft) + " left"
	}
	return text
}

func inSeconds(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
