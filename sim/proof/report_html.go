package proof

import (
	_ "embed"
	"html/template"
	"io"

	"github.com/lifeboat-dr/lifeboat/sim"
)

//go:embed report.html.tmpl
var reportTemplate string

// WriteHTML writes the report as one page that needs nothing else: no script,
// no request, in the style of the drills' pages.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("proof").Funcs(template.FuncMap{"sec": seconds}).Parse(reportTemplate)
	if err != nil {
		return err
	}
	css, hash := sim.PageStyle()
	return t.Execute(w, map[string]any{
		"R": r, "CSS": css, "Style": hash, "Recovery": r.Recovery(), "Lists": r.lists(), "Resources": r.shown(), "Evidence": r.evidence(),
	})
}
