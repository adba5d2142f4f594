package scheduler

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lifeboat-dr/lifeboat/internal/text"
)

// line writes one line, names in it made printable.
func line(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, text.Printable(fmt.Sprintf(format, args...)))
}

// WriteSummary shows each Pod in a line.
func WriteSummary(w io.Writer, placements []*Placement, _ bool) error {
	waiting := Waiting(placements)
	fmt.Fprintf(w, "%d Pods: %d placed, %d stay Pending\n\n", len(placements), len(placements)-waiting, waiting)
	t := text.NewTable(w, "POD", "NODE", "WHY")
	for _, p := range placements {
		node, why := p.Node, p.Message
		switch {
		case node == "":
			node = "<pending>"
		case p.Preemption != nil:
			why = "preempts " + strings.Join(p.Preemption.Victims, ", ")
		case len(p.Ties) > 0:
			why = fmt.Sprintf("one of %d with the best score", len(p.Ties))
		case p.Feasible == 1:
			why = "the only node that fits"
		default:
			why = fmt.Sprintf("ahead by %d", p.Margin)
		}
		t.Row(p.Pod, node, why)
	}
	return t.Flush()
}

// WritePlacements shows each Pod with the nodes that were looked at; wide adds
// the scores of every plugin.
func WritePlacements(w io.Writer, placements []*Placement, wide bool) error {
	for i, p := range placements {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := p.writeText(w, wide); err != nil {
			return err
		}
	}
	return nil
}

// writeText shows the decision, then the nodes in the order in which they were
// looked at.
func (p *Placement) writeText(w io.Writer, wide bool) error {
	switch {
	case p.Node == "":
		line(w, "%s: stays Pending", p.Pod)
	case len(p.Ties) > 0:
		line(w, "%s: %s, one of %d with the best score: %s", p.Pod, p.Node, len(p.Ties), strings.Join(p.Ties, ", "))
	case p.Feasible == 1:
		line(w, "%s: %s, the only node that fits", p.Pod, p.Node)
	default:
		line(w, "%s: %s, ahead by %d", p.Pod, p.Node, p.Margin)
	}
	if p.Message != "" {
		line(w, "  %s", p.Message)
	}
	if p.Preemption != nil {
		line(w, "  preempts on %s: %s (%d against a PodDisruptionBudget)", p.Preemption.Node, strings.Join(p.Preemption.Victims, ", "), p.Preemption.Violations)
	}
	if len(p.Nodes) == 0 {
		return nil
	}
	if p.Start >= 0 {
		line(w, "  began at position %d, stops after %d that fit: looked at %d, %d fit", p.Start+1, p.Wanted, p.Filtered, p.Feasible)
	}
	last := "WHAT IS AGAINST IT"
	if wide {
		last = "PLUGIN raw>normalized>weighted, OR WHAT IS AGAINST IT"
	}
	t := text.NewTable(w, "  POSITION", "NODE", "RANK", "TOTAL", last)
	for _, v := range p.Nodes {
		t.Row(v.cells(wide)...)
	}
	return t.Flush()
}

func (v NodeVerdict) cells(wide bool) []string {
	cells := []string{"  " + strconv.Itoa(v.Position+1), v.Node, "-", "-"}
	if v.Rank > 0 {
		cells[2], cells[3] = strconv.Itoa(v.Rank), strconv.FormatInt(v.Total, 10)
	}
	var words []string
	for _, r := range v.Against {
		why := strings.Join(r.Reasons, "; ")
		if r.Plugin != "" { // a PreFilter's choice of nodes names its plugin in the text
			why = r.Plugin + ": " + why
		}
		words = append(words, why)
	}
	switch {
	case v.Skipped:
		words = append(words, "not looked at")
	case wide:
		for _, s := range v.Scores {
			words = append(words, fmt.Sprintf("%s %d>%d>%d", s.Plugin, s.Raw, s.Normalized, s.Weighted))
		}
	}
	return append(cells, text.OrDash(strings.Join(words, ", ")))
}

// WriteText shows how many more fit, and where.
func (f *Fit) WriteText(w io.Writer) error {
	at := ""
	if f.Most {
		at = "at least "
	}
	line(w, "%s: %s%d more fit", f.Pod, at, f.Count)
	if f.Message != "" {
		line(w, "  the next one: %s", f.Message)
	}
	t := text.NewTable(w, "NODE", "MORE")
	for _, n := range f.Nodes {
		t.Row(n.Node, strconv.Itoa(n.Pods))
	}
	return t.Flush()
}

// WriteStability shows which answers hold over so many runs.
func WriteStability(w io.Writer, result []Stability, runs int) error {
	t := text.NewTable(w, "POD", "ANSWER", "TIES", "NODES")
	for _, r := range result {
		answer := "a coin flip"
		if r.Stable {
			answer = "stable"
		}
		var shares []string
		for _, s := range r.Shares {
			node := s.Node
			if node == "" {
				node = "<pending>"
			}
			shares = append(shares, fmt.Sprintf("%s %d%%", node, s.Runs*100/runs))
		}
		t.Row(r.Pod, answer, fmt.Sprintf("%d/%d", r.Ties, runs), strings.Join(shares, ", "))
	}
	return t.Flush()
}

// WriteLosses shows each loss in a line.
func WriteLosses(w io.Writer, losses []*Loss) error {
	t := text.NewTable(w, "LOST", "NODES", "PODS", "PLACED", "PENDING", "PREEMPTED", "GONE", "BUDGETS", "SKEWS")
	for _, l := range losses {
		pods := strconv.Itoa(len(l.Pods))
		if !l.Checked() {
			pods = "not checked"
		}
		t.Row(l.Name, strconv.Itoa(len(l.Nodes)), pods, strconv.Itoa(l.Placed), strconv.Itoa(l.Pending), strconv.Itoa(l.Preempted),
			strconv.Itoa(l.Gone), strconv.Itoa(len(l.Budgets)), strconv.Itoa(len(l.Skews)))
	}
	return t.Flush()
}

// WriteText shows one loss: every Pod, what is broken, and the room that is left.
func (l *Loss) WriteText(w io.Writer) error {
	line(w, "%s", l.Headline())
	if l.Assumed > 0 {
		line(w, "%d of them belong to controllers that are not Kubernetes' own, and are taken to be made again", l.Assumed)
	}
	fmt.Fprintln(w)
	t := text.NewTable(w, "POD", "FROM", "TO", "WHY")
	for _, p := range l.Pods {
		t.Row(p.Pod, p.From, p.Destination(), p.Story())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, b := range l.Budgets {
		line(w, "PodDisruptionBudget %s wants %d healthy: %d at once, %d after", b.Budget, b.Desired, b.AtOnce, b.After)
	}
	for _, s := range l.Skews {
		line(w, "spread of %s in %s over %s: skew %d, was %d, at most %d asked for", s.Selector, s.Namespace, s.Key, s.Skew, s.Before, s.MaxSkew)
	}
	fmt.Fprintln(w)
	z := text.NewTable(w, "ZONE", "NODES", "CPU FREE", "MEMORY FREE", "PODS FREE")
	for _, h := range l.Zones {
		z.Row(text.OrDash(h.Zone), strconv.Itoa(h.Nodes), h.CPU.String(), h.Memory.String(), strconv.FormatInt(h.Pods, 10))
	}
	return z.Flush()
}
