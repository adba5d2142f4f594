package printer

import (
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/lifeboat-dr/lifeboat/registry"
)

// Options say how a Writer sets its tables. The zero value is that of
// `kubectl get KIND -n NAMESPACE`.
type Options struct {
	Wide      bool // -o wide: all columns
	Namespace bool // -A: a column NAMESPACE first, for namespaced kinds
	Kind      bool // several kinds were asked for: names as kind.group/name
	NoHeaders bool

	Labels     []string // -L: a column for each of these labels
	ShowLabels bool     // --show-labels: a column of all labels, last
}

// A Writer sets rows as kubectl does: upper-case headers, columns at least six
// wide and three apart, a blank line between kinds (k8s.io/cli-runtime
// pkg/printers). It holds ten thousand rows at most: in a longer table a wider
// cell further down widens its column from there on.
type Writer struct {
	out    io.Writer
	opts   Options
	kind   string     // the resource of the table under way
	lines  [][]string // of this table, not yet written
	widths []int      // of this table, by column
	tables int
}

// chunk is the number of lines whose widths are taken together.
const chunk = 10_000

// NewWriter returns a Writer to out.
func NewWriter(out io.Writer, opts Options) *Writer {
	return &Writer{out: out, opts: opts}
}

// Write adds a row. A row of another resource than the one before starts a new
// table.
func (w *Writer) Write(row Row) error {
	if kind := row.Resource.String(); kind != w.kind || w.tables == 0 {
		if err := w.Flush(); err != nil {
			return err
		}
		w.start(row, kind)
	}
	w.lines = append(w.lines, w.line(row))
	if len(w.lines) >= chunk {
		return w.Flush()
	}
	return nil
}

func (w *Writer) start(row Row, kind string) {
	first := w.tables == 0
	w.kind, w.widths = kind, nil
	w.tables++
	if w.opts.NoHeaders {
		return
	}
	if !first {
		w.lines = append(w.lines, nil)
	}
	headers := []string{}
	if w.opts.Namespace && row.Resource.Namespaced {
		headers = append(headers, "NAMESPACE")
	}
	for _, c := range row.Columns {
		if w.opts.Wide || !c.Wide {
			headers = append(headers, escape(strings.ToUpper(c.Name)))
		}
	}
	for _, label := range w.opts.Labels {
		headers = append(headers, escape(strings.ToUpper(path.Base(label))))
	}
	if w.opts.ShowLabels {
		headers = append(headers, "LABELS")
	}
	w.lines = append(w.lines, headers)
}

// line is a row as it stands in the table: columns chosen, name prefixed.
func (w *Writer) line(row Row) []string {
	line := make([]string, 0, len(row.Cells)+1)
	if w.opts.Namespace && row.Resource.Namespaced {
		line = append(line, escape(row.Namespace))
	}
	for i, c := range row.Columns {
		if c.Wide && !w.opts.Wide {
			continue
		}
		cell := firstLine(row.Cells[i])
		if c.IsName && w.opts.Kind {
			cell = Reference(row.Resource, cell)
		}
		line = append(line, escape(cell))
	}
	for _, label := range w.opts.Labels {
		line = append(line, escape(row.Labels[label]))
	}
	if w.opts.ShowLabels {
		line = append(line, escape(labels.FormatLabels(row.Labels)))
	}
	return line
}

// Reference names an object as `-o name` does: "deployment.apps/supercronic".
func Reference(resource registry.Resource, name string) string {
	return strings.ToLower(resource.GroupKind().String()) + "/" + name
}

// Flush writes what is held back. A row after it goes on with the same table.
func (w *Writer) Flush() error {
	const minimum, padding = 6, 3 // kubectl's tab writer
	for _, line := range w.lines {
		for len(w.widths) < len(line) {
			w.widths = append(w.widths, minimum)
		}
		for i, cell := range line {
			w.widths[i] = max(w.widths[i], utf8.RuneCountInString(cell)+padding)
		}
	}
	var b strings.Builder
	for _, line := range w.lines {
		for i, cell := range line {
			b.WriteString(cell)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", w.widths[i]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteByte('\n')
	}
	w.lines = w.lines[:0]
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(w.out, b.String())
	return err
}

// firstLine cuts a cell at its first line break and says so, as kubectl does.
func firstLine(cell string) string {
	if i := strings.IndexAny(cell, "\f\n\r"); i >= 0 {
		return cell[:i] + "..."
	}
	return cell
}

// escape keeps what a file says from steering the terminal: kubectl writes ESC
// as ^[; here all control characters, invisible ones and bytes that are no
// UTF-8 are made visible.
func escape(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !unprintable(r):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteString("^" + string(r+'@'))
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError
}
