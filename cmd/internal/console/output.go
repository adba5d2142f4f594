package console

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

// The formats of -o.
const (
	FormatTable format = "table"
	FormatWide  format = "wide"
	FormatJSON  format = "json"
	FormatYAML  format = "yaml"
	FormatName  format = "name"
	FormatDiff  format = "diff"
)

// OutputFlag is -o with the formats that the command knows; the first is what
// it prints without the flag. The choice arrives in env.Format.
func OutputFlag(env *Environment, formats ...format) cli.Flag { return outputFlag(env, formats) }

func outputFlag(env *Environment, formats []format) *choiceFlag {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return &choiceFlag{values: names, StringFlag: &cli.StringFlag{
		Name: "output", Aliases: []string{"o"},
		Usage: "`FORMAT` of the result: " + strings.Join(names, ", "),
		Action: func(_ *cli.Context, value string) error {
			if !slices.Contains(names, value) {
				return WithHint(Usagef("unknown output format %q", value), "-o takes "+strings.Join(names, ", "))
			}
			env.Format = format(value)
			return nil
		},
	}}
}

// OutputOrTemplateFlag is OutputFlag, and also takes NAME=TEMPLATE for some
// names; then the name arrives in env.Format, and the rest in env.Template.
func OutputOrTemplateFlag(env *Environment, names []string, formats ...format) cli.Flag {
	flag := outputFlag(env, formats)
	plain := flag.Action
	for _, name := range names {
		flag.values = append(flag.values, name+"=")
	}
	flag.Usage += ", " + strings.Join(names, "=, ") + "="
	flag.Action = func(c *cli.Context, value string) error {
		name, template, ok := strings.Cut(value, "=")
		if !ok || !slices.Contains(names, name) {
			return plain(c, value)
		}
		env.Format, env.Template = format(name), template
		return nil
	}
	return flag
}

// formatWanted looks for `-o json` before the arguments are understood, so
// that an error in them is printed as JSON, too. It need not be exact.
func formatWanted(args []string) format {
	for i, arg := range args {
		switch {
		case arg == "--", arg == "kubectl": // from here on it is another program's
			return FormatTable
		case arg == "-ojson", arg == "-o=json", arg == "--output=json",
			(arg == "-o" || arg == "--output") && i+1 < len(args) && args[i+1] == "json":
			return FormatJSON
		}
	}
	return FormatTable
}

// PrintDocument writes v as the result, as YAML under -o yaml, else as JSON.
func (e *Environment) PrintDocument(v any) error {
	out, err := json.MarshalIndent(v, "", "  ")
	if err == nil && e.Format == FormatYAML {
		out, err = yaml.JSONToYAML(out)
	} else {
		out = append(out, '\n')
	}
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if _, err := e.Stdout.Write(out); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

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

// Number is n in decimal, empty for 0.
func Number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// OrDash is s, or a dash where there is nothing to show.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
