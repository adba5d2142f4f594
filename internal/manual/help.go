// Package manual writes what a program says about its commands: the help text on
// a terminal, and the same as manual pages. Both are made of the commands of
// urfave/cli: a command's examples are its UsageText, one to a line, and come
// first: at 3 a.m. they are what is copied.
package manual

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
)

// Width is the widest line of a help text: a serial console has 80 columns.
const Width = 79

// Program is what is written about.
type Program struct {
	App     *cli.App // UsageText: its examples; ArgsUsage: what follows its name
	Version string
	Topics  []Topic
	Codes   []Code     // of exit
	Shared  []cli.Flag // of many commands: they stand behind a command's own
	Sharing string     // the heading of those
}

// Topic is a page about no single command.
type Topic struct{ Name, About, Text string }

// Code is an exit code.
type Code struct {
	Code    int
	Meaning string // its lines are broken where it needs to be
}

// Help is the help text of the command at the end of path, or of the whole
// program.
func (p Program) Help(path []*cli.Command) string {
	return p.text(path) + "\nEXIT CODES\n" + CodeText(p.Codes)
}

// CodeText is the table of the exit codes, as it stands in every help text.
func CodeText(codes []Code) string {
	var b strings.Builder
	for _, row := range codes {
		b.WriteString(hanging(strconv.Itoa(row.Code), row.Meaning, 7))
	}
	return b.String()
}

// text is a help text without what stands in all of them.
func (p Program) text(path []*cli.Command) string {
	var b strings.Builder
	if len(path) == 0 {
		p.whole(&b)
	} else {
		p.command(&b, path)
	}
	return b.String()
}

func (p Program) whole(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %s\n", p.App.Name, p.App.Usage)
	b.WriteString("\nEXAMPLES\n" + indented(p.App.UsageText))
	b.WriteString("\nUSAGE\n" + indented(p.App.Name+" "+p.App.ArgsUsage))
	b.WriteString("\nCOMMANDS\n")
	writeCommands(b, p.App.Commands)
	fmt.Fprintf(b, "\nTOPICS (%s help TOPIC)\n", p.App.Name)
	for _, t := range p.Topics {
		b.WriteString(hanging(t.Name, t.About, 16))
	}
}

func (p Program) command(b *strings.Builder, path []*cli.Command) {
	cmd, name := path[len(path)-1], argv.Name(p.App, path)
	b.WriteString(wrapped(name+": "+cmd.Usage, "", 2))
	if cmd.UsageText != "" {
		b.WriteString("\nEXAMPLES\n" + indented(cmd.UsageText))
	}
	usage := name
	if len(cmd.Subcommands) > 0 {
		usage += " COMMAND"
	}
	if cmd.ArgsUsage != "" {
		usage += " " + cmd.ArgsUsage
	}
	b.WriteString("\nUSAGE\n" + indented(usage+" [FLAGS]"))
	if cmd.Description != "" {
		b.WriteString("\n" + strings.TrimSpace(cmd.Description) + "\n")
	}
	if len(cmd.Subcommands) > 0 {
		b.WriteString("\nCOMMANDS\n")
		writeCommands(b, cmd.Subcommands)
	}
	own, shared := p.flags(cmd.Flags)
	b.WriteString("\nFLAGS (before or after the arguments)\n" + own)
	b.WriteString(hanging("-h, --help", "this text", flagColumn))
	if shared != "" {
		b.WriteString("\n" + p.Sharing + "\n" + shared)
	}
}

// flags writes a command's own flags, and those that it shares.
func (p Program) flags(flags []cli.Flag) (own, shared string) {
	var sharing []string
	var ours, every strings.Builder
	for _, flag := range p.Shared {
		sharing = append(sharing, flag.Names()[0])
	}
	for _, flag := range flags {
		if visible, ok := flag.(cli.VisibleFlag); ok && !visible.IsVisible() {
			continue
		}
		if slices.Contains(sharing, flag.Names()[0]) {
			every.WriteString(flagText(flag))
		} else {
			ours.WriteString(flagText(flag))
		}
	}
	return ours.String(), every.String()
}

func writeCommands(b *strings.Builder, cmds []*cli.Command) {
	for _, cmd := range cmds {
		if !cmd.Hidden {
			b.WriteString(hanging(cmd.Name, cmd.Usage, 16))
		}
	}
}

// flagColumn is where the flags' explanations start.
const flagColumn = 30

// flagText is a flag's lines. As in the flag package, the word in back quotes
// of its usage is the name of its value.
func flagText(flag cli.Flag) string {
	names := flag.Names()
	left := "    --" + names[0]
	for _, name := range names[1:] {
		if len(name) == 1 {
			left = "-" + name + ", --" + names[0]
		}
	}
	doc, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return hanging(left, "", flagColumn)
	}
	usage := doc.GetUsage()
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		left += " " + parts[1]
		usage = parts[0] + parts[1] + parts[2]
	}
	if text := doc.GetDefaultText(); doc.TakesValue() && text != "" {
		if plain, err := strconv.Unquote(text); err == nil {
			text = plain
		}
		usage += " (default " + text + ")"
	}
	return hanging(left, usage, flagColumn)
}

// hanging writes left at column 2 and text from column on, wrapped there.
func hanging(left, text string, column int) string {
	left = "  " + left
	if len(left) >= column {
		return left + "\n" + wrapped(text, strings.Repeat(" ", column), column)
	}
	return wrapped(text, fmt.Sprintf("%-*s", column, left), column)
}

// wrapped writes text behind start; the lines after the first begin at column.
func wrapped(text, start string, column int) string {
	var b strings.Builder
	line := start
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case len(line)+1+len(word) > Width:
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", column) + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}

func indented(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n  ") + "\n"
}
