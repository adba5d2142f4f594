package console

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat/internal/argv"
	"github.com/lifeboat-dr/lifeboat/internal/manual"
)

// program is what help and the manual are written about.
func program(app *cli.App) manual.Program {
	return manual.Program{
		App: app, Version: ReadVersion().Version, Topics: Topics(), Codes: exitCodeTable(),
		Shared: SourceFlags(), Sharing: "FLAGS OF EVERY SRC",
	}
}

func (e *Environment) writeHelp(text string) error {
	if _, err := io.WriteString(e.Stdout, text); err != nil {
		return fmt.Errorf("writing help: %w", err)
	}
	return nil
}

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
					return env.writeHelp(t.Text)
				}
			}
			path, rest := find(app.Commands, words)
			if len(rest) > 0 {
				return WithHint(Usagef("no help for %q", strings.Join(words, " ")),
					argv.DidYouMean(words[0], helpWords(app), "lifeboat help ", "lifeboat help"))
			}
			return env.writeHelp(program(app).Help(path))
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

// manualCommand writes the manual pages. The release has them; nobody types it.
func manualCommand(app *cli.App) *cli.Command {
	return &cli.Command{
		Name: "__man", Hidden: true, ArgsUsage: "DIR",
		Action: func(c *cli.Context) error {
			for name, text := range program(app).Pages() {
				if err := os.WriteFile(filepath.Join(c.Args().First(), name), []byte(text), 0o644); err != nil { //nolint:gosec // a manual is for everybody
					return fmt.Errorf("writing the manual: %w", err)
				}
			}
			return nil
		},
	}
}
