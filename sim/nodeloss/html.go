package nodeloss

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.html
var page string

// WriteHTML writes reports side by side as one page without links, scripts or
// fonts from elsewhere: it opens on a host without a network. Same reports,
// same bytes.
func WriteHTML(w io.Writer, title string, reports ...*Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"span": SpanText, "seconds": Seconds, "join": strings.Join, "chart": chartOf,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	if err := t.Execute(w, struct {
		Title   string
		Reports []*Report
	}{title, reports}); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// Seconds writes a time as people say it: "43 s", "5 min 43 s".
func Seconds(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	if d < 10*time.Second && d%time.Second != 0 {
		return fmt.Sprintf("%s%.1f s", sign, d.Seconds())
	}
	d = d.Round(time.Second)
	if minutes := d / time.Minute; minutes > 0 {
		return fmt.Sprintf("%s%d min %d s", sign, minutes, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%s%d s", sign, d/time.Second)
}

// SpanText writes a Span as its median and its bounds; nil is "never".
func SpanText(s *Span) string {
	if s == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s to %s)", Seconds(s.Median), Seconds(s.Min), Seconds(s.Max))
}

// MedianText writes the median of a Span; nil is "never".
func MedianText(s *Span) string {
	if s == nil {
		return "never"
	}
	return Seconds(s.Median)
}

// chart is a timeline, ready to be drawn: pixels instead of seconds.
type chart struct {
	Width, Height int
	Ticks         []tick
	Rows          []row
}

type tick struct {
	X     int
	Label string
}

type row struct {
	Y                           int
	Pod                         string
	Served, Waited, Ended, Back int // x of the steps; Back is 0 for never
	Words                       string
}

const (
	chartLeft, chartWidth = 300, 900
	rowHeight             = 24
)

// chartOf draws medians. Its scale is that of its own report.
func chartOf(r *Report) chart {
	longest := r.Detected.Max
	for _, p := range r.Pods {
		if p.Evicted != nil {
			longest = max(longest, p.Evicted.Max)
		}
	}
	longest = (longest/(30*time.Second) + 1) * 30 * time.Second
	x := func(d time.Duration) int {
		return chartLeft + int(int64(chartWidth-chartLeft-20)*int64(d)/int64(longest))
	}
	c := chart{Width: chartWidth, Height: (len(r.Pods) + 2) * rowHeight}
	for i := range 7 {
		at := longest * time.Duration(i) / 6
		c.Ticks = append(c.Ticks, tick{x(at), Seconds(at)})
	}
	for i, p := range r.Pods {
		line := row{Y: (i + 1) * rowHeight, Pod: p.Pod, Served: x(0), Waited: x(r.Detected.Median), Words: p.Never}
		line.Ended = line.Waited
		if p.Evicted != nil {
			line.Ended = x(p.Evicted.Median)
		}
		if p.Back != nil {
			line.Back, line.Words = x(p.Back.Median), "back on "+p.Place
		}
		c.Rows = append(c.Rows, line)
	}
	return c
}
