package sim

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.css
var reportCSS string

//go:embed report.html.tmpl
var reportTemplate string

// WriteHTML writes the report as one page that needs nothing else: no script,
// no request, its style allowed by its hash in the page's own policy.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"sec": seconds, "short": short, "objects": (*ObjectLoss).lines}).Parse(reportTemplate)
	if err != nil {
		return err
	}
	css := strings.TrimSpace(reportCSS)
	sum := sha256.Sum256([]byte(css))
	return t.Execute(w, map[string]any{
		"R": r, "CSS": template.CSS(css), "Style": "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		"Chart": chartOf(&r.Run), "Failed": r.Failed(),
	})
}

// The chart's coordinates, in SVG units.
const (
	chartLeft, chartWidth = 60, 900
	rowHeight             = 26
	writesHeight          = 60
)

type chart struct {
	Height, WritesY int
	Rows            []chartRow
	Bars            []chartBar
	Marks           []chartMark
	Axis            []chartMark
}

type chartRow struct {
	Name     string
	Y        int
	Segments []chartSegment
}

type chartSegment struct {
	X, W  float64
	Role  Role
	Label string
}

type chartBar struct {
	X, W, Y, H float64
	Class      string
	Label      string
}

type chartMark struct {
	X     float64
	Label string
	Class string
}

// chartOf draws who was what when, what was done, and the writes per second.
func chartOf(run *Run) chart {
	length := max(run.Length.D(), time.Second)
	x := func(d Duration) float64 {
		return chartLeft + float64(chartWidth)*min(1, float64(d)/float64(length))
	}
	var c chart
	for i, m := range run.Members {
		c.Rows = append(c.Rows, chartRow{Name: m.Name, Y: 20 + i*rowHeight})
	}
	for i := range c.Rows {
		row := &c.Rows[i]
		var open *Event
		end := func(at Duration) {
			if open != nil && x(at) > x(open.At) {
				row.Segments = append(row.Segments, chartSegment{X: x(open.At), W: x(at) - x(open.At), Role: open.Role, Label: row.Name + " is " + string(open.Role) + ", " + termText(open)})
			}
		}
		for j := range run.Events {
			if e := &run.Events[j]; e.Kind == EventRole && e.Member == row.Name {
				end(e.At)
				open = e
			}
		}
		end(Duration(length))
	}
	for _, e := range run.Events {
		if e.Kind == EventAction || e.Kind == EventLink || e.Kind == EventAlarm {
			c.Marks = append(c.Marks, chartMark{X: x(e.At), Label: seconds(e.At) + " " + strings.TrimSpace(e.Member+" "+e.Text), Class: string(e.Kind)})
		}
	}
	c.WritesY = 30 + len(c.Rows)*rowHeight
	c.Height = c.WritesY + writesHeight + 30
	c.bars(run.Tally.Buckets, x)
	for i := range 6 {
		at := Duration(length * time.Duration(i) / 5)
		c.Axis = append(c.Axis, chartMark{X: x(at), Label: seconds(at)})
	}
	return c
}

func termText(e *Event) string {
	return "term " + uintText(e.Term) + ", commit " + uintText(e.Commit) + ", from " + seconds(e.At)
}

func (c *chart) bars(buckets []Bucket, x func(Duration) float64) {
	most := 1
	for _, b := range buckets {
		most = max(most, b.Acknowledged+b.Failed)
	}
	for i, b := range buckets {
		left, right := x(Duration(time.Duration(i)*time.Second)), x(Duration(time.Duration(i+1)*time.Second))
		y := float64(c.WritesY + writesHeight)
		for _, part := range []struct {
			n     int
			class string
		}{{b.Acknowledged, "ok"}, {b.Failed, "failed"}} {
			if part.n == 0 {
				continue
			}
			h := float64(writesHeight) * float64(part.n) / float64(most)
			y -= h
			c.Bars = append(c.Bars, chartBar{X: left, W: max(0.5, right-left-0.3), Y: y, H: h, Class: part.class, Label: uintText(uint64(part.n)) + " " + part.class})
		}
	}
}
