package nodeloss

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lifeboat-dr/lifeboat/internal/text"
	"github.com/lifeboat-dr/lifeboat/internal/words"
)

// textWidth is the widest line of prose.
const textWidth = 118

// WriteText shows the reports one below the other.
func WriteText(w io.Writer, reports ...*Report) error {
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := r.writeText(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) writeText(w io.Writer) error {
	line := func(format string, args ...any) {
		for _, part := range words.Wrap(text.Printable(fmt.Sprintf(format, args...)), textWidth, "    ") {
			fmt.Fprintln(w, part)
		}
	}
	line("%s", r.Headline())
	line("%s of %s, %s", r.Fault, strings.Join(r.Lost, ", "), r.Tuning.Name)
	line("  grace %s, pass every %s: detected after %s", Seconds(r.Tuning.Grace), Seconds(r.Tuning.Period), SpanText(&r.Detected))
	for _, z := range r.Zones {
		line("  zone %s: %s", text.OrDash(z.Name), z.State)
	}
	if r.Flapping.Slack < 0 {
		line("  two renewals of a lease may lie %s further apart than the grace period; reports of status that stand in: %d", Seconds(-r.Flapping.Slack), r.Flapping.Signals)
	} else {
		line("  a healthy node is called lost when %d signs of life in a row are missing; a lease may be late by %s", r.Flapping.Signals, Seconds(r.Flapping.Slack))
	}
	line("  heartbeats cost %g lease and %g status writes per second", r.Cost.LeaseWrites, r.Cost.StatusWrites)
	t := text.NewTable(w, "POD", "EVICTED", "BACK", "TO")
	for _, p := range r.Pods {
		t.Row(p.Pod, MedianText(p.Evicted), MedianText(p.Back), text.OrDash(p.Place))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, why := range r.Stories() {
		line("  %s: %s", why.Text, strings.Join(why.Pods, ", "))
	}
	return nil
}

// Warnings say where the tuning calls healthy nodes lost.
func (r *Report) Warnings() []string {
	switch {
	case r.Flapping.Slack < 0:
		return []string{fmt.Sprintf("%s: healthy nodes may flap: a lease that is renewed in time no longer keeps them Ready, and %d other signs of life stand in for it", r.Tuning.Name, r.Flapping.Signals)}
	case r.Flapping.Slack < time.Second:
		return []string{fmt.Sprintf("%s: a lease renewal that is %s late no longer keeps a healthy node Ready, and %d other signs of life stand in for it",
			r.Tuning.Name, Seconds(r.Flapping.Slack), max(r.Flapping.Signals-1, 0))}
	}
	return nil
}
