// Package progress tells on a stream how far the work is: one line that is
// redrawn on a terminal, a plain line now and then elsewhere, JSON lines when
// asked for. Short runs stay silent.
package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// How often progress is told. Short runs stay silent.
const (
	progressQuiet = 500 * time.Millisecond // before the first output
	progressLine  = 100 * time.Millisecond // on a terminal
	progressPlain = 5 * time.Second        // in a log
	progressJSON  = time.Second            // for a program
)

// Meter tells on stderr how far the work is: one line that is redrawn on a
// terminal, a plain line now and then elsewhere, JSON lines when asked for. It
// is also the Writer for all other messages, which it keeps off that line.
type Meter struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	mode     string // auto, json, off
	program  bool   // a program reads stderr (-o json): off a terminal, auto means json
	held     bool   // somebody is asked something: the line stays away
	width    int    // of the line that stands on the terminal, 0 for none
	current  *Phase // guarded by mu, as are width and out
}

// New gives a Meter that writes to out, which may be a terminal.
func New(out io.Writer, terminal bool) *Meter {
	return &Meter{out: out, terminal: terminal, mode: "auto"}
}

// Modes are what SetMode takes: lines as fit the place, lines of JSON, none.
func Modes() []string { return []string{"auto", "json", "off"} }

// SetMode chooses what progress looks like.
func (p *Meter) SetMode(mode string) error {
	if !slices.Contains(Modes(), mode) {
		return fmt.Errorf("unknown --progress %q: it is auto, json or off", mode)
	}
	p.mode = mode
	return nil
}

// ForProgram says whether a program reads the messages: off a terminal, auto
// means json then.
func (p *Meter) ForProgram(yes bool) { p.program = yes }

// Out is where the messages go, without the care that Write takes.
func (p *Meter) Out() io.Writer { return p.out }

// Phase is one stretch of work, measured in bytes. Its methods may be called
// from any goroutine.
type Phase struct {
	p     *Meter
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
func (p *Meter) Start(name string, total int64) *Phase { return p.Count(name, "", total) }

// Count begins a phase that counts things of a unit, "seeds" for example, instead
// of bytes. It is never silent for long: what is done is told, also when that is
// nothing yet.
func (p *Meter) Count(name, unit string, total int64) *Phase {
	p.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	ph := &Phase{p: p, name: name, unit: unit, total: total, start: time.Now(), end: cancel, gone: make(chan struct{})}
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

// Stop ends the phase that runs, if one does.
func (p *Meter) Stop() {
	p.mu.Lock()
	ph := p.current
	p.mu.Unlock()
	if ph != nil {
		ph.Done()
	}
}

func (p *Meter) interval() time.Duration {
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

func (p *Meter) inJSON() bool {
	return p.mode == "json" || (p.mode == "auto" && p.program && !p.terminal)
}

// Write prints a message. A progress line that stands on the terminal is wiped
// first; it comes back below the message.
func (p *Meter) Write(message []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	return p.out.Write(message)
}

// Hold keeps the progress line away while somebody is asked, until the function
// that it gives is called.
func (p *Meter) Hold() (release func()) {
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
func (p *Meter) wipe() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// Add counts n more bytes as done.
func (ph *Phase) Add(n int64) { ph.done.Add(n) }

// Reader counts what is read from r.
func (ph *Phase) Reader(r io.Reader) io.Reader { return &countingReader{r, ph} }

type countingReader struct {
	r  io.Reader
	ph *Phase
}

func (c *countingReader) Read(buf []byte) (int, error) {
	n, err := c.r.Read(buf)
	c.ph.Add(int64(n))
	return n, err
}

// Done ends the phase: nothing is drawn after it returns. A second call does
// nothing.
func (ph *Phase) Done() {
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

func (ph *Phase) tell(ctx context.Context, every time.Duration) {
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
func (ph *Phase) print(last bool) {
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

func (ph *Phase) state(last bool) progressState {
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
