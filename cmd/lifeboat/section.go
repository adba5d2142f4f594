package main

import (
	"fmt"
	"io"
)

// section prints a report in headed parts; the first write error stays.
type section struct {
	w   io.Writer
	err error
}

func newSection(env *environment) *section { return &section{w: env.stdout} }

func (s *section) line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}

func (s *section) heading(text string) { s.line("\n%s", text) }

func (s *section) table(rows [][]string) {
	t := newTable(s.w)
	for _, cells := range rows {
		t.row(cells...)
	}
	if err := t.flush(); s.err == nil {
		s.err = err
	}
}
