package console

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"github.com/lifeboat-dr/lifeboat/internal/text"
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

// Table aligns columns as kubectl does.
type Table = text.Table

// NewTable starts a table on w; no header prints no header line.
func NewTable(w io.Writer, header ...string) *Table { return text.NewTable(w, header...) }

// Printable is s with nothing in it that could steer a terminal.
func Printable(s string) string { return text.Printable(s) }

// OrDash is s, or a dash where there is nothing to show.
func OrDash(s string) string { return text.OrDash(s) }

// Number is n in decimal, empty for 0.
func Number(n uint64) string { return text.Number(n) }
