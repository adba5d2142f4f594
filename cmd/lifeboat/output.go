package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"
)

// format is a value of -o.
type format string

const (
	formatTable format = "table"
	formatWide  format = "wide"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
	formatName  format = "name"
)

// outputFlag is -o with the formats that the command knows; the first is what
// it prints without the flag. The choice arrives in env.format.
func outputFlag(env *environment, formats ...format) cli.Flag {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"},
		Usage: "`FORMAT` of the result: " + strings.Join(names, ", "),
		Action: func(_ *cli.Context, value string) error {
			if !slices.Contains(names, value) {
				return withHint(usagef("unknown output format %q", value), "-o takes "+strings.Join(names, ", "))
			}
			env.format = format(value)
			return nil
		},
	}
}

// formatWanted looks for `-o json` before the arguments are understood, so
// that an error in them is printed as JSON, too. It need not be exact.
func formatWanted(args []string) format {
	for i, arg := range args {
		switch {
		case arg == "--":
			return formatTable
		case arg == "-ojson", arg == "-o=json", arg == "--output=json",
			(arg == "-o" || arg == "--output") && i+1 < len(args) && args[i+1] == "json":
			return formatJSON
		}
	}
	return formatTable
}

// printDocument writes v as the result, as YAML under -o yaml, else as JSON.
func (e *environment) printDocument(v any) error {
	out, err := json.MarshalIndent(v, "", "  ")
	if err == nil && e.format == formatYAML {
		out, err = yaml.JSONToYAML(out)
	} else {
		out = append(out, '\n')
	}
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if _, err := e.stdout.Write(out); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// table aligns columns as kubectl does: three blanks between them, none at the
// end of a line. Cells are made printable.
type table struct{ w *tabwriter.Writer }

// newTable starts a table on w; no header prints no header line.
func newTable(w io.Writer, header ...string) *table {
	t := &table{tabwriter.NewWriter(w, 6, 4, 3, ' ', tabwriter.TabIndent)}
	if len(header) > 0 {
		t.row(header...)
	}
	return t
}

// row adds a line. Write errors wait for flush.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			t.w.Write([]byte{'\t'})
		}
		t.w.Write([]byte(printable(cell)))
	}
	t.w.Write([]byte{'\n'})
}

// flush writes what is left; only then are the widths known.
func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// printable gives s as it is, or with everything escaped that could move the
// cursor, ring the bell, change colours or turn the reading direction: such
// names do come out of damaged and hostile files.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
