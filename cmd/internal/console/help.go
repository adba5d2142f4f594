package console

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// HelpWidth is the widest line of a help text: a serial console has 80 columns.
const HelpWidth = 79

func helpCommand(env *Environment, app *cli.App) *cli.Command {
	return &cli.Command{
		Name:         "help",
		Usage:        "help for a command, or about a topic",
		ArgsUsage:    "[COMMAND|TOPIC]",
		UsageText:    "lifeboat help extract\nlifeboat help sources",
		BashComplete: CompletesWith(func([]string) []string { return helpWords(app) }),
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) == 1 {
				if t, ok := topicNamed(words[0]); ok {
					return writeText(env.Stdout, t.Text)
				}
			}
			path, rest := find(app.Commands, words)
			if len(rest) > 0 {
				return WithHint(Usagef("no help for %q", strings.Join(words, " ")),
					DidYouMean(words[0], helpWords(app), "lifeboat help ", "lifeboat help"))
			}
			return writeHelp(env.Stdout, app, path)
		},
	}
}

// find follows words down the command tree as far as they name commands.
func find(cmds []*cli.Command, words []string) (path []*cli.Command, rest []string) {
	for len(words) > 0 {
		var next *cli.Command
		for _, cmd := range cmds {
			if cmd.HasName(words[0]) && !cmd.Hidden {
				next = cmd
			}
		}
		if next == nil {
			return path, words
		}
		path, cmds, words = append(path, next), next.Subcommands, words[1:]
	}
	return path, nil
}

// helpWords are the words that help takes: commands and topics.
func helpWords(app *cli.App) []string {
	var words []string
	for _, cmd := range app.Commands {
		if !cmd.Hidden {
			words = append(words, cmd.Name)
		}
	}
	for _, t := range Topics() {
		words = append(words, t.Name)
	}
	return words
}

// writeHelp writes the help text of the command at the end of path, or of the
// whole program. Examples come first: at 3 a.m. they are what is copied.
// A command's examples are its UsageText, one to a line.
func writeHelp(w io.Writer, app *cli.App, path []*cli.Command) error {
	var b strings.Builder
	if len(path) == 0 {
		appHelp(&b, app)
	} else {
		commandHelp(&b, path)
	}
	b.WriteString("\nEXIT CODES\n" + ExitCodeText())
	return writeText(w, b.String())
}

func writeText(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing help: %w", err)
	}
	return nil
}

func appHelp(b *strings.Builder, app *cli.App) {
	fmt.Fprintf(b, "%s: %s\n\nEXAMPLES\n", app.Name, app.Usage)
	b.WriteString(indented(`lifeboat inspect kube-backup.tar.gz
lifeboat get kube-backup.tar.gz pods -n infra-production
lifeboat extract kube-backup.tar.gz -n infra-production --to restored/
kubectl create -R -f restored/`))
	b.WriteString("\nUSAGE\n" + indented("lifeboat COMMAND SRC [ARGUMENTS] [FLAGS]"))
	b.WriteString("\nCOMMANDS\n")
	writeCommands(b, app.Commands)
	b.WriteString("\nTOPICS (lifeboat help TOPIC)\n")
	for _, t := range Topics() {
		b.WriteString(hanging(t.Name, t.about, 16))
	}
}

func commandHelp(b *strings.Builder, path []*cli.Command) {
	cmd, name := path[len(path)-1], CommandName(path)
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
	own, shared := splitFlags(cmd.Flags)
	b.WriteString("\nFLAGS (before or after the arguments)\n" + own)
	b.WriteString(hanging("-h, --help", "this text", flagColumn))
	if shared != "" {
		b.WriteString("\nFLAGS OF EVERY SRC\n" + shared)
	}
}

// splitFlags writes a verb's own flags, and those that it has because it opens
// SRC.
func splitFlags(flags []cli.Flag) (own, shared string) {
	var opening []string
	var ours, every strings.Builder
	for _, flag := range SourceFlags() {
		opening = append(opening, flag.Names()[0])
	}
	for _, flag := range flags {
		if visible, ok := flag.(cli.VisibleFlag); ok && !visible.IsVisible() {
			continue
		}
		if slices.Contains(opening, flag.Names()[0]) {
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
		case len(line)+1+len(word) > HelpWidth:
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

// ExitCodeText is the table of the exit codes, as it stands in every help text.
func ExitCodeText() string {
	var b strings.Builder
	for _, row := range exitCodeTable() {
		b.WriteString(hanging(strconv.Itoa(int(row.code)), row.meaning, 7))
	}
	return b.String()
}
