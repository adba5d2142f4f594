// Package text writes for a terminal: tables as kubectl aligns them, and names out
// of files so that they cannot steer it.
package text

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// Table aligns columns as kubectl does: three blanks between them, none at the
// end of a line. Cells are made printable.
type Table struct{ w *tabwriter.Writer }

// NewTable starts a table on w; no header prints no header line.
func NewTable(w io.Writer, header ...string) *Table {
	t := &Table{tabwriter.NewWriter(w, 6, 4, 3, ' ', tabwriter.TabIndent)}
	if len(header) > 0 {
		t.Row(header...)
	}
	return t
}

// Row adds a line. Write errors wait for flush.
func (t *Table) Row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			t.w.Write([]byte{'\t'})
		}
		t.w.Write([]byte(Printable(cell)))
	}
	t.w.Write([]byte{'\n'})
}

// Flush writes what is left; only then are the widths known.
func (t *Table) Flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// Printable gives s as it is, or with everything escaped that could move the
// cursor, ring the bell, change colours or turn the reading direction: such
// names do come out of damaged and hostile files.
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// OrDash is s, or a dash where there is nothing to show.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Number is n in decimal, empty for 0.
func Number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
