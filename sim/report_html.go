package sim

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed report.css
var reportCSS string

//go:embed report.html.tmpl
var reportTemplate string

// WriteHTML writes the report as one page that needs nothing else: no script,
// no request, its style allowed by its hash in the page's own policy.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"sec": seconds, "percent": percent, "objects": (*ObjectLoss).lines}).Parse(r.template())
	if err != nil {
		return err
	}
	css, style := PageStyle()
	return t.Execute(w, map[string]any{
		"R": r, "CSS": css, "Style": style,
		"Chart": chartOf(&r.Run), "Deeds": deedsOf(&r.Run), "Failed": r.Failed(), "Recovery": recoveryOf(r.Run.RTO), "Dots": dotsOf(r), "Shrunk": string(r.Shrunk),
		"Latencies": latenciesOf(&r.Run), "Failures": failuresOf(&r.Run),
	})
}

// PageStyle is the style sheet of the reports' pages, and the hash by which a
// page's own policy allows it.
func PageStyle() (css template.CSS, hash string) {
	text := strings.TrimSpace(reportCSS)
	sum := sha256.Sum256([]byte(text))
	return template.CSS(text), "sha256-" + base64.StdEncoding.EncodeToString(sum[:]) //nolint:gosec // it is embedded
}

// percent is a length or a place along the page's width.
func percent(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + "%" }

// recoveryOf splits a bar into the parts of the time to recover.
func recoveryOf(rto *RTO) []chartSpan {
	if rto == nil || rto.Total == 0 {
		return nil
	}
	var out []chartSpan
	x := 0.0
	for _, part := range []struct {
		word string
		d    Duration
	}{{"detect", rto.Detect}, {"decide", rto.Decide}, {"restore", rto.Restore}} {
		w := 100 * float64(part.d) / float64(rto.Total)
		out = append(out, chartSpan{X: x, W: w, Class: part.word, Text: part.word + " " + seconds(part.d)})
		x += w
	}
	return out
}

// dotsOf are the recoveries of all seeds, a dot each, from nothing to the
// longest.
func dotsOf(r *Report) []chartSpan {
	if r.RTO == nil || len(r.Seeds) < 2 {
		return nil
	}
	var out []chartSpan
	for _, s := range r.Seeds {
		if s.RTO != nil && r.RTO.Max > 0 {
			out = append(out, chartSpan{X: 1 + 98*float64(*s.RTO)/float64(r.RTO.Max), Title: "seed " + uintText(s.Seed) + ": " + seconds(*s.RTO)})
		}
	}
	return out
}
