package text

import (
	"fmt"
	"io"
)

// Section prints a report in headed parts; the first write error stays.
type Section struct {
	w   io.Writer
	Err error
}

// NewSection starts a report on w.
func NewSection(w io.Writer) *Section { return &Section{w: w} }

// Line prints one line.
func (s *Section) Line(format string, args ...any) {
	if s.Err == nil {
		_, s.Err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}

// Heading begins a part.
func (s *Section) Heading(text string) { s.Line("\n%s", text) }

// Table prints rows of aligned cells.
func (s *Section) Table(rows [][]string) {
	t := NewTable(s.w)
	for _, cells := range rows {
		t.Row(cells...)
	}
	if err := t.Flush(); s.Err == nil {
		s.Err = err
	}
}
